//! The token out of the `Authorization` header. Pure.

use thiserror::Error;

/// The longest token that is looked at. Those of Teams have about 1,500 bytes, Entra's some thousand.
pub const MAX_TOKEN: usize = 16 * 1024;

/// Why there is no token to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NoBearer {
    /// No header at all.
    #[error("an Authorization header with a bearer token is needed")]
    Missing,
    /// Two headers: which of them counts would be a guess.
    #[error("there is more than one Authorization header")]
    Repeated,
    /// Another scheme, or no token after it.
    #[error("the Authorization header is not `Bearer <token>`")]
    NotBearer,
    /// Longer than [`MAX_TOKEN`].
    #[error("the token is longer than 16 KiB")]
    TooLong,
    /// Not three parts of base64url: no JWT in compact form.
    #[error("the token is no JSON Web Token")]
    NotAToken,
}

/// The token, given the values of all `Authorization` headers. The scheme's case does not matter (RFC 9110 §11.1).
///
/// # Errors
/// [`NoBearer`].
pub fn bearer<'a>(values: impl IntoIterator<Item = &'a str>) -> Result<&'a str, NoBearer> {
    let mut values = values.into_iter();
    let value = values.next().ok_or(NoBearer::Missing)?;
    if values.next().is_some() {
        return Err(NoBearer::Repeated);
    }
    let (scheme, token) = value.trim_matches([' ', '\t']).split_once(' ').ok_or(NoBearer::NotBearer)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(NoBearer::NotBearer);
    }
    if token.len() > MAX_TOKEN {
        return Err(NoBearer::TooLong);
    }
    let is_part = |part: &str| !part.is_empty() && part.bytes().all(is_base64url);
    let parts = token.split('.').filter(|part| is_part(part)).count();
    if parts == 3 && token.split('.').count() == 3 { Ok(token) } else { Err(NoBearer::NotAToken) }
}

fn is_base64url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_header_one_scheme_one_token() {
        let long = format!("Bearer {}.b.c", "a".repeat(MAX_TOKEN));
        for (values, expected) in [
            (vec!["Bearer a.b.c"], Ok("a.b.c")),
            (vec!["bearer a-_.b0.Z"], Ok("a-_.b0.Z")),
            (vec![" Bearer a.b.c\t"], Ok("a.b.c")),
            (vec![], Err(NoBearer::Missing)),
            (vec!["Bearer a.b.c", "Bearer a.b.c"], Err(NoBearer::Repeated)),
            (vec![""], Err(NoBearer::NotBearer)),
            (vec!["Bearer"], Err(NoBearer::NotBearer)),
            (vec!["Basic dXNlcg=="], Err(NoBearer::NotBearer)),
            (vec!["Bearer a.b.c, Bearer a.b.c"], Err(NoBearer::NotAToken)),
            (vec!["Bearer  a.b.c"], Err(NoBearer::NotAToken)),
            (vec!["Bearer a.b"], Err(NoBearer::NotAToken)),
            (vec!["Bearer a.b."], Err(NoBearer::NotAToken)),
            (vec!["Bearer a.b.c.d"], Err(NoBearer::NotAToken)),
            (vec!["Bearer a.b.c="], Err(NoBearer::NotAToken)),
            (vec![long.as_str()], Err(NoBearer::TooLong)),
        ] {
            assert_eq!(bearer(values.iter().copied()), expected, "{:.40?}", values.first());
        }
    }
}
