//! Rewrites, as each of their kinds.

use gateway_model::rewrite::{Rewrite, RewriteKind};

use crate::{place::assert_column, request};

/// A text is refused at a place within it, or is a rewrite that prints and applies as it should.
pub(crate) fn keep_promises(text: &str) {
    for kind in [RewriteKind::Path, RewriteKind::Prefix, RewriteKind::Host] {
        let rewrite = match Rewrite::parse(kind, text) {
            Ok(rewrite) => rewrite,
            Err(error) => {
                assert_column(text, &error);
                continue;
            }
        };
        let printed = rewrite.to_string();
        let again = Rewrite::parse(kind, &printed);
        assert_eq!(again.as_ref(), Ok(&rewrite), "printed: {printed}");
        assert_eq!(again.map(|again| again.to_string()), Ok(printed));
        for request in request::SAMPLES {
            let Some(rewritten) = rewrite.apply(request) else { continue };
            let applies = rewrite.condition().is_none_or(|condition| condition.matches(request));
            assert!(applies, "{rewrite}: {request:?}");
            if let Some(path) = rewritten.path {
                let path = path.to_string();
                assert!(path.starts_with('/') && !path.starts_with("//"), "{rewrite}: {path}");
                assert!(!path.contains(['?', '#', ' ', '\r', '\n']), "{rewrite}: {path}");
            }
        }
    }
}
