//! `herald package`: assembles the folder that the Functions host runs.
//!
//! The host finds functions only in direct children of the folder that holds `host.json`, so `functions/` is source.
//! It says nothing and hangs when the executable is missing or was built for another machine, so that is refused here.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Failure;
use crate::functions::Function;

/// What to assemble, and from what.
#[derive(Debug, Clone)]
pub struct Order {
    /// The folder with `host.json` and `functions`.
    pub source: PathBuf,
    /// Where to.
    pub out: PathBuf,
    /// The executable; none: this one.
    pub executable: Option<PathBuf>,
    /// The platform it must be built for, such as `linux-x86_64`; none: this machine's.
    pub platform: Option<String>,
}

/// Assembles; answers a line for the person who asked.
///
/// # Errors
/// When a part is missing or does not fit; nothing is left half done that the host would run.
pub fn run(order: &Order) -> Result<String, Failure> {
    let host = read(&order.source.join("host.json"))?;
    let name = executable_name(&host)?;
    let executable = match &order.executable {
        Some(path) => path.clone(),
        None => std::env::current_exe().map_err(|error| Failure::Other(error.to_string()))?,
    };
    let wanted = order.platform.clone().unwrap_or_else(this_platform);
    check_platform(&executable, &wanted)?;
    let functions = functions(&order.source)?;
    guard(&order.source, &order.out)?;
    clear(&order.out)?;
    for (function, path) in &functions {
        copy(path, &order.out.join(function.name()).join("function.json"))?;
    }
    copy(&order.source.join("local.settings.json"), &order.out.join("local.settings.json"))?;
    let target = order.out.join(&name);
    copy(&executable, &target)?;
    fs::set_permissions(&target, fs::Permissions::from_mode(0o755)).map_err(|error| failed(&target, &error))?;
    // Last, since without it the host runs nothing.
    copy(&order.source.join("host.json"), &order.out.join("host.json"))?;
    let out = order.out.display();
    Ok(format!(
        "{} functions and {name} ({wanted}) are in {out}; run it with: func start --script-root {out}",
        functions.len()
    ))
}

fn failed(path: &Path, error: &std::io::Error) -> Failure {
    Failure::Other(format!("{}: {error}", path.display()))
}

fn read(path: &Path) -> Result<Value, Failure> {
    let text = fs::read_to_string(path).map_err(|error| failed(path, &error))?;
    serde_json::from_str(&text).map_err(|error| Failure::Other(format!("{}: {error}", path.display())))
}

/// Core Tools set the exec bit in the zip only for the entry whose name equals this path: no `./`, one segment.
fn executable_name(host: &Value) -> Result<String, Failure> {
    let name = host.pointer("/customHandler/description/defaultExecutablePath").and_then(Value::as_str);
    let plain = name.filter(|name| !name.is_empty() && !name.contains(['/', '\\', '%']) && !name.starts_with('.'));
    plain.map(str::to_owned).ok_or_else(|| {
        Failure::Other("host.json: customHandler.description.defaultExecutablePath must be a bare file name".into())
    })
}

fn functions(source: &Path) -> Result<Vec<(Function, PathBuf)>, Failure> {
    let path = |function: Function| source.join("functions").join(function.name()).join("function.json");
    let all: Vec<_> = Function::ALL.into_iter().map(|function| (function, path(function))).collect();
    for (_, path) in &all {
        read(path)?;
    }
    Ok(all)
}

/// The folder is written into, so it must be new, empty, or one that was made here.
fn guard(source: &Path, out: &Path) -> Result<(), Failure> {
    let refuse = |why: &str| Err(Failure::Usage(format!("--out {}: {why}", out.display())));
    if out.is_file() {
        return refuse("it is a file");
    }
    let Ok(there) = out.canonicalize() else { return Ok(()) };
    let source = source.canonicalize().map_err(|error| failed(source, &error))?;
    if source.starts_with(&there)
        || there.starts_with(source.join("functions"))
        || there.starts_with(source.join("src"))
    {
        return refuse("it is where the source is");
    }
    let mut entries = fs::read_dir(&there).map_err(|error| failed(out, &error))?;
    if entries.next().is_some()
        && !(there.join("Tick/function.json").is_file() && there.join("local.settings.json").is_file())
    {
        return refuse("it is not empty, and not a folder that `herald package` made");
    }
    Ok(())
}

/// Takes away what an earlier run left and this one may not bring: functions, and the executable, which may be running.
fn clear(out: &Path) -> Result<(), Failure> {
    fs::create_dir_all(out).map_err(|error| failed(out, &error))?;
    for entry in fs::read_dir(out).map_err(|error| failed(out, &error))? {
        let path = entry.map_err(|error| failed(out, &error))?.path();
        let function = path.join("function.json");
        if function.is_file() {
            fs::remove_file(&function).map_err(|error| failed(&function, &error))?;
            // Whatever else stands there is not ours.
            let _ = fs::remove_dir(&path);
        }
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<(), Failure> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).map_err(|error| failed(folder, &error))?;
    }
    // A file that is being executed cannot be written, but it can be replaced.
    let fresh = to.with_extension("new");
    fs::copy(from, &fresh).map_err(|error| failed(from, &error))?;
    fs::rename(&fresh, to).map_err(|error| failed(to, &error))
}

fn this_platform() -> String {
    format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH)
}

fn check_platform(executable: &Path, wanted: &str) -> Result<(), Failure> {
    let bytes = fs::read(executable).map_err(|error| failed(executable, &error))?;
    match platform(&bytes) {
        Some(found) if found == wanted => Ok(()),
        Some(found) => Err(Failure::Other(format!(
            "{} was built for {found}, not for {wanted}: the Functions host would not say so and hang",
            executable.display()
        ))),
        None => Err(Failure::Other(format!("{} is not an executable that is known here", executable.display()))),
    }
}

/// The platform that an executable was built for, by its first bytes (ELF and Mach-O headers; PE).
fn platform(bytes: &[u8]) -> Option<String> {
    let half = |at: usize| Some(u16::from_le_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]));
    match bytes {
        [0x7f, b'E', b'L', b'F', ..] => match half(18)? {
            62 => Some("linux-x86_64".into()),
            183 => Some("linux-aarch64".into()),
            other => Some(format!("linux-machine{other}")),
        },
        [0xcf, 0xfa, 0xed, 0xfe, 0x07, ..] => Some("macos-x86_64".into()),
        [0xcf, 0xfa, 0xed, 0xfe, 0x0c, ..] => Some("macos-aarch64".into()),
        [b'M', b'Z', ..] => Some("windows".into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_are_told_by_their_first_bytes() {
        let elf = |machine: u8| {
            let mut bytes = vec![0; 64];
            bytes[..4].copy_from_slice(b"\x7fELF");
            bytes[18] = machine;
            bytes
        };
        assert_eq!(platform(&elf(62)).as_deref(), Some("linux-x86_64"));
        assert_eq!(platform(&elf(183)).as_deref(), Some("linux-aarch64"));
        assert_eq!(platform(b"\xcf\xfa\xed\xfe\x0c\0\0\x01").as_deref(), Some("macos-aarch64"));
        assert_eq!(platform(b"MZ").as_deref(), Some("windows"));
        assert_eq!(platform(b"#!/bin/sh"), None);
        assert_eq!(platform(b"\x7fELF"), None);
    }
}
