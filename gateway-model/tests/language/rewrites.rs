//! Rewrites of the page.

use gateway_model::rewrite::{self, Rewrite, RewriteKind};

use super::{page, request};

/// `path: /new if Path is /old`: kind and text.
pub fn kind_of(line: &str) -> (RewriteKind, &str) {
    let (kind, text) = line.split_once(": ").expect("a kind before the text");
    match kind {
        "path" => (RewriteKind::Path, text),
        "prefix" => (RewriteKind::Prefix, text),
        "host" => (RewriteKind::Host, text),
        other => panic!("`{other}` is no rewrite"),
    }
}

#[test]
fn requests_are_rewritten_as_the_page_says() {
    for example in page::examples("rewrite") {
        example.assert_words(&["", "wrong"]);
        for (line, text) in &example.texts {
            let (kind, text) = kind_of(text);
            let rewrite = match Rewrite::parse(kind, text) {
                Ok(rewrite) => rewrite,
                Err(error) => {
                    let wrong: Vec<&str> = example.said("wrong").collect();
                    assert_eq!(wrong, [error.column.to_string()], "line {line}: {text}: {error}");
                    continue;
                }
            };
            assert_eq!(example.said("wrong").next(), None, "line {line}: {text} parses");
            for claim in example.said("") {
                let (request, expected) = claim.split_once(" -> ").expect("a request and a URL");
                let asked = request::parse(request);
                let rewritten = rewrite::apply(std::slice::from_ref(&rewrite), &asked);
                let path = rewritten.path.map_or_else(|| asked.path.clone(), |path| path.to_string());
                let query = if asked.query.is_empty() { String::new() } else { format!("?{}", asked.query) };
                let url = format!("http://{}{path}{query}", rewritten.host.unwrap_or(&asked.host));
                assert_eq!(url, expected, "line {line}: {text}: {request}");
            }
        }
    }
}
