//! Broken promises: found, made short, told.

use std::{any::Any, fs, panic, path::PathBuf};

use gateway_fuzz::Target;

/// A text that breaks a promise.
pub(crate) struct Failure {
    target: Target,
    origin: String,
    message: String,
    text: String,
}

impl Failure {
    /// The failure of `target` on a text, if there is one; `origin` says where the text is from.
    pub(crate) fn of(target: Target, origin: &str, text: &str) -> Option<Self> {
        let message = message(target, text)?;
        let text = shortened(target, text);
        Some(Self { target, origin: origin.to_owned(), message, text })
    }
}

/// Fails with all failures, if there are some; each one's text is kept in a file.
pub(crate) fn report(failures: impl Iterator<Item = Failure>) {
    let told: Vec<_> = failures.map(|failure| tell(&failure)).collect();
    assert!(told.is_empty(), "{}", told.join("\n"));
}

fn tell(failure: &Failure) -> String {
    let Failure { target: Target { name, .. }, origin, message, text } = failure;
    let path =
        PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}: {origin}").replace([':', ' '], "-"));
    fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let path = path.display();
    format!(
        "{name}: {origin}: {message}\n  shortened: {text:?}\n  again: cargo xtask fuzz {name} --input {path}"
    )
}

/// What `target` says against a text.
fn message(target: Target, text: &str) -> Option<String> {
    let panicked = panic::catch_unwind(|| target.check(text.as_bytes())).err()?;
    Some(words(panicked.as_ref()))
}

fn words(panicked: &(dyn Any + Send)) -> String {
    let text = panicked.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panicked.downcast_ref::<&str>().copied()).unwrap_or("a panic").to_owned()
}

/// The same text without what can be left out of it.
fn shortened(target: Target, text: &str) -> String {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let mut text: Vec<char> = text.chars().collect();
    let mut step = text.len();
    while step > 0 {
        let mut at = 0;
        while at < text.len() {
            let mut shorter = text.clone();
            shorter.drain(at..text.len().min(at + step));
            if message(target, &String::from_iter(&shorter)).is_some() {
                text = shorter;
            } else {
                at += step;
            }
        }
        step /= 2;
    }
    panic::set_hook(hook);
    text.into_iter().collect()
}
