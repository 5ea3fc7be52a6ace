//! Errors as texts for people.

use std::{error::Error, iter};

/// The error with its causes, but for those that it tells already.
pub(crate) fn text_of(error: &anyhow::Error) -> String {
    join(error.chain().map(ToString::to_string))
}

/// The same of any error.
pub(crate) fn text_of_std(error: &(dyn Error + 'static)) -> String {
    join(iter::successors(Some(error), |error| (*error).source()).map(ToString::to_string))
}

fn join(causes: impl Iterator<Item = String>) -> String {
    causes.fold(String::new(), |text, cause| match text.as_str() {
        "" => cause,
        told if told.contains(&cause) => text,
        _ => format!("{text}: {cause}"),
    })
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::state::StateError;

    #[test]
    fn a_cause_is_told_once() {
        let source = io::Error::from(io::ErrorKind::PermissionDenied);
        let error = StateError::Io { verb: "created", path: "/state".into(), source };
        let text = text_of(&anyhow::Error::new(error).context("starting"));
        assert_eq!(text.matches("permission denied").count(), 1, "{text}");
        assert!(text.starts_with("starting: /state cannot be created"), "{text}");
    }
}
