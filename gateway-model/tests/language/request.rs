//! Requests as the page writes them: `GET http://foo.bar.com/x?a=b -H 'K: V' --from IP --sni NAME`.

use std::net::IpAddr;

use gateway_model::explain::Asked;

/// Reads a request; its host keeps the port that is written.
pub fn parse(text: &str) -> Asked {
    let mut words = words(text).into_iter();
    let method = words.next().expect("a method");
    let url = words.next().unwrap_or_else(|| panic!("{text}: no URL"));
    let (_, rest) = url.split_once("://").unwrap_or_else(|| panic!("{text}: {url} is no URL"));
    let (host, target) = rest.split_at(rest.find('/').unwrap_or_else(|| panic!("{text}: no path")));
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut asked = Asked {
        method,
        host: host.to_owned(),
        port: 80,
        path: path.to_owned(),
        query: query.to_owned(),
        headers: Vec::new(),
        client: IpAddr::from([192, 0, 2, 7]),
        sni: String::new(),
    };
    while let Some(option) = words.next() {
        let value = words.next().unwrap_or_else(|| panic!("{text}: {option} of what?"));
        match option.as_str() {
            "-H" => {
                let (name, value) = value.split_once(": ").expect("a header is `name: value`");
                asked.headers.push((name.to_owned(), value.to_owned()));
            }
            "--from" => asked.client = value.parse().expect("an address"),
            "--sni" => asked.sni = value,
            other => panic!("{text}: {other} is no option of a request"),
        }
    }
    asked
}

/// Words with blanks between them; a quote at a word's beginning lasts until one before a blank or the end.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (word, after) = match rest.strip_prefix('\'') {
            Some(inner) => {
                let end = inner.find("' ").unwrap_or(inner.len() - 1);
                (&inner[..end], &inner[end + 1..])
            }
            None => rest.split_at(rest.find(' ').unwrap_or(rest.len())),
        };
        words.push(word.to_owned());
        rest = after.trim_start();
    }
    words
}
