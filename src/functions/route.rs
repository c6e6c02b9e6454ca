//! Which function a method and a path belong to. Pure.

use percent_encoding::percent_decode_str;

use super::{Function, Trigger};

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// To a function, with the route's id.
    To(Function, Option<String>),
    /// The path is known, the method is not; these are allowed.
    WrongMethod(Vec<&'static str>),
    /// Nowhere.
    Unknown,
}

/// Finds the function of a request. A slash at the end does not matter.
#[must_use]
pub fn route(method: &str, path: &str) -> Route {
    // The routes of the Functions host do not mind case either.
    let prefix = path.get(..5).is_some_and(|prefix| prefix.eq_ignore_ascii_case("/api/"));
    let Some(below) = path.get(5..).filter(|_| prefix) else { return Route::Unknown };
    let below = below.strip_suffix('/').unwrap_or(below);
    let mut allowed = Vec::new();
    for function in Function::ALL {
        let Trigger::Http { route, methods, .. } = function.trigger() else { continue };
        let Some(id) = matches(route, below) else { continue };
        if methods.contains(&method) {
            return Route::To(function, id);
        }
        allowed.extend(methods);
    }
    if allowed.is_empty() { Route::Unknown } else { Route::WrongMethod(allowed) }
}

/// The id, when the path is one of the route's.
fn matches(route: &str, path: &str) -> Option<Option<String>> {
    match route.strip_suffix("/{id?}") {
        None => route.eq_ignore_ascii_case(path).then_some(None),
        Some(stem) if stem.eq_ignore_ascii_case(path) => Some(None),
        Some(stem) => {
            let (head, id) = path.split_once('/')?;
            // The Functions host passes an encoded slash on as %252F.
            let id = percent_decode_str(id).decode_utf8().ok()?.replace("%2F", "/");
            (stem.eq_ignore_ascii_case(head) && !id.is_empty()).then_some(Some(id))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_route_leads_to_its_function() {
        let to = |function, id: Option<&str>| Route::To(function, id.map(str::to_owned));
        for (method, path, expected) in [
            ("POST", "/api/messages", to(Function::Messages, None)),
            ("POST", "/api/notifications", to(Function::CreateNotification, None)),
            ("GET", "/api/notifications", to(Function::Notifications, None)),
            ("GET", "/api/notifications/", to(Function::Notifications, None)),
            ("DELETE", "/api/notifications/build-12", to(Function::Notifications, Some("build-12"))),
            ("GET", "/api/users/29%3Aabc", to(Function::Users, Some("29:abc"))),
            ("GET", "/api/users/a%252Fb", to(Function::Users, Some("a/b"))),
            ("GET", "/API/Health", to(Function::Health, None)),
            ("GET", "/api/health", to(Function::Health, None)),
            ("PUT", "/api/health", Route::WrongMethod(vec!["GET"])),
            ("PUT", "/api/notifications", Route::WrongMethod(vec!["POST", "GET", "DELETE"])),
            ("POST", "/api/notifications/x", Route::WrongMethod(vec!["GET", "DELETE"])),
            ("GET", "/api/nothing", Route::Unknown),
            ("GET", "/api/healthy", Route::Unknown),
            ("POST", "/messages", Route::Unknown),
            ("POST", "/Tick", Route::Unknown),
        ] {
            assert_eq!(route(method, path), expected, "{method} {path}");
        }
    }
}
