//! What is legal in a condition and surely not what was meant. Never falsely: where there is doubt, nothing is
//! said.

use super::{
    Acl, AclTest, Carrier, Condition, Fetch, Position, Subject, Term, Test, compared::Compared, fact::meaning,
};
use crate::expression::{Linter, Names, Placed, Warning};

/// Methods that are registered (IANA, HTTP Method Registry) or widely used by caches.
const METHODS: &[&str] = &[
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "DELETE",
    "CONNECT",
    "OPTIONS",
    "TRACE",
    "PATCH",
    "QUERY",
    "PURGE",
    "BAN",
    "ACL",
    "BASELINE-CONTROL",
    "BIND",
    "CHECKIN",
    "CHECKOUT",
    "COPY",
    "LABEL",
    "LINK",
    "LOCK",
    "MERGE",
    "MKACTIVITY",
    "MKCALENDAR",
    "MKCOL",
    "MKREDIRECTREF",
    "MKWORKSPACE",
    "MOVE",
    "ORDERPATCH",
    "PRI",
    "PROPFIND",
    "PROPPATCH",
    "REBIND",
    "REPORT",
    "SEARCH",
    "UNBIND",
    "UNCHECKOUT",
    "UNLINK",
    "UNLOCK",
    "UPDATE",
    "UPDATEREDIRECTREF",
    "VERSION-CONTROL",
];

impl Condition {
    /// What is legal here and surely wrong, in the order written. Each code says one thing:
    ///
    /// * `condition-never-matches`, `condition-always-matches`, and of a part of it `part-never-matches`,
    ///   `part-always-matches`;
    /// * `header-name-invalid`, `cookie-name-invalid`: no request can carry such a name;
    /// * `host-invalid`: no host or SNI is written so; `unknown-method`; `path-without-slash`;
    ///   `path-with-query`;
    /// * `value-always-passes`: every value passes, so that only whether there is one is asked;
    /// * `acl-operator-as-value`: `or` or `and` among the values of an ACL.
    pub fn lint(&self) -> Vec<Warning> {
        let linter = Linter {
            source: &self.source,
            meaning,
            is_deliberate: |_: &Term| false,
            names: Names {
                never: "condition-never-matches",
                always: "condition-always-matches",
                noun: "condition",
            },
        };
        let mut warnings = linter.warnings(&self.expression);
        self.expression.visit_placed(&mut |term, _| {
            let text = TermText { placed: term, source: &self.source };
            warnings.extend(text.warnings());
        });
        warnings.sort_by_key(|warning| warning.span);
        warnings
    }
}

/// A term and the text that it is written in.
struct TermText<'a> {
    placed: &'a Placed<Term>,
    source: &'a str,
}

impl TermText<'_> {
    fn warning(&self, code: &'static str, message: String, advice: impl Into<String>) -> Warning {
        Warning::new(code, self.placed.span, message, advice)
    }

    fn warnings(&self) -> Vec<Warning> {
        match &self.placed.term {
            Term::Text { subject, test, .. } => {
                [self.wrong_name(subject), self.wrong_value(subject, test), self.passes_all(subject, test)]
                    .into_iter()
                    .flatten()
                    .collect()
            }
            Term::Present { carrier: Carrier::Header, name, .. } => {
                self.header_name(name).into_iter().collect()
            }
            Term::Present { carrier: Carrier::Cookie, name, .. } => {
                self.cookie_name(name).into_iter().collect()
            }
            Term::Client(_) | Term::Percent(_) => Vec::new(),
            Term::Raw(acl) => self.acl(acl),
        }
    }

    fn wrong_name(&self, subject: &Subject) -> Option<Warning> {
        match subject {
            Subject::Header(name) => self.header_name(name),
            Subject::Cookie(name) => self.cookie_name(name),
            Subject::Host
            | Subject::UserAgent
            | Subject::Path
            | Subject::Method
            | Subject::Query(_)
            | Subject::Sni => None,
        }
    }

    fn wrong_value(&self, subject: &Subject, test: &Test) -> Option<Warning> {
        match (subject, test) {
            (Subject::Host | Subject::Sni, Test::Equals(value)) => self.host(value),
            (Subject::Method, Test::Equals(value)) => self.method(value, true),
            (Subject::Path, Test::Equals(value) | Test::StartsWith(value)) => {
                self.path_from_its_beginning(value)
            }
            (Subject::Path, Test::EndsWith(value) | Test::Contains(value)) => self.path_query(value),
            _ => None,
        }
    }

    fn passes_all(&self, subject: &Subject, test: &Test) -> Option<Warning> {
        let everything = match test {
            Test::Contains(value) | Test::StartsWith(value) | Test::EndsWith(value) => value.is_empty(),
            Test::Matches(pattern) => Compared::matches(pattern).is_everything(),
            Test::Equals(_) | Test::Known(_) => false,
        };
        let instead = match subject {
            Subject::Header(name) => format!("write `Has Header {name}` if that is meant"),
            Subject::UserAgent => "write `Has Header User-Agent` if that is meant".to_owned(),
            Subject::Cookie(name) => format!("write `Has Cookie {name}` if that is meant"),
            Subject::Query(_) => "give a value that tells requests apart".to_owned(),
            // There is one always, so that the whole term is always true: that is said of it.
            Subject::Host | Subject::Path | Subject::Method | Subject::Sni => return None,
        };
        let message = "every value passes: only whether there is one is asked".to_owned();
        everything.then(|| self.warning("value-always-passes", message, instead))
    }

    fn header_name(&self, name: &str) -> Option<Warning> {
        if is_token(name) {
            return None;
        }
        let advice = "header names are made of letters, digits and !#$%&'*+-.^_`|~; correct the name";
        Some(self.warning(
            "header-name-invalid",
            format!("no request can carry a header named `{name}`"),
            advice,
        ))
    }

    fn cookie_name(&self, name: &str) -> Option<Warning> {
        if !name.contains(|c: char| {
            c.is_ascii_whitespace() || c.is_ascii_control() || matches!(c, ';' | '=' | ',')
        }) {
            return None;
        }
        let advice = "cookie names have no blank, `=`, `,` or `;`; correct the name";
        Some(self.warning(
            "cookie-name-invalid",
            format!("no request can carry a cookie named `{name}`"),
            advice,
        ))
    }

    fn host(&self, value: &str) -> Option<Warning> {
        let wrong = value.find(|c: char| c.is_whitespace() || "*/?#@,;".contains(c))?;
        let found = &value[wrong..].chars().next()?;
        let advice = match value.strip_prefix("*.") {
            Some(domain) if is_token(domain) => {
                format!("write `matches /\\.{}$/` for every host of that domain", domain.replace('.', r"\."))
            }
            _ => "write the name alone, like foo.bar.com".to_owned(),
        };
        Some(self.warning("host-invalid", format!("no host is named `{value}`: it has `{found}`"), advice))
    }

    fn method(&self, value: &str, ignores_case: bool) -> Option<Warning> {
        if METHODS.contains(&value)
            || ignores_case && METHODS.iter().any(|one| one.eq_ignore_ascii_case(value))
        {
            return None;
        }
        let upper = value.to_ascii_uppercase();
        let advice = if METHODS.contains(&upper.as_str()) {
            format!("methods are compared with case here: write {upper}, or -i before it")
        } else {
            "write one like GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS".to_owned()
        };
        Some(self.warning("unknown-method", format!("`{value}` is no method of HTTP"), advice))
    }

    /// A path that is compared from its first character on.
    fn path_from_its_beginning(&self, value: &str) -> Option<Warning> {
        if value.is_empty() || value.starts_with('/') || value == "*" {
            return self.path_query(value);
        }
        let advice = format!("write `/{}`", value.split(['?', '#']).next().unwrap_or_default());
        Some(self.warning(
            "path-without-slash",
            format!("a path begins with `/`, `{value}` does not"),
            advice,
        ))
    }

    fn path_query(&self, value: &str) -> Option<Warning> {
        let mark = value.chars().find(|c| matches!(c, '?' | '#'))?;
        let advice = "ask for the path before it, and for parameters with `Query N is V`";
        let message = format!("a path has no `{mark}`: what follows it is not in the path");
        Some(self.warning("path-with-query", message, advice))
    }

    fn acl(&self, acl: &Acl) -> Vec<Warning> {
        let name = match &acl.fetch {
            Fetch::Header(name) | Fetch::HeaderCount(name) => self.header_name(name),
            Fetch::Cookie(name) => self.cookie_name(name),
            Fetch::Path | Fetch::Method | Fetch::Source => None,
        };
        let AclTest::Text(position, ignores_case, values) = &acl.test else {
            return name.into_iter().collect();
        };
        let value = |value: &String| match (&acl.fetch, position) {
            (Fetch::Method, Position::Whole) => self.method(value, *ignores_case),
            (Fetch::Path, Position::Whole | Position::Beg) => self.path_from_its_beginning(value),
            (Fetch::Path, Position::Sub | Position::End) => self.path_query(value),
            (
                Fetch::Header(_) | Fetch::HeaderCount(_) | Fetch::Cookie(_) | Fetch::Source | Fetch::Method,
                _,
            ) => None,
        };
        match self.operator_among(values) {
            Some(operator) => name.into_iter().chain([operator]).collect(),
            None => name.into_iter().chain(values.iter().filter_map(value)).collect(),
        }
    }

    /// An `or` between values, where values are alternatives anyway; quoted, it is meant as one.
    fn operator_among(&self, values: &[String]) -> Option<Warning> {
        let is_operator = |word: &str| matches!(word, "or" | "and" | "||" | "&&");
        let text = self.placed.span.of(self.source);
        let written = text.split_whitespace().find(|word| is_operator(word))?;
        if values.len() < 2 || text.contains(['\'', '"']) || !values.iter().any(|value| value == written) {
            return None;
        }
        let advice =
            "values are alternatives already; for more, write several `< … >` with the operator between them";
        let message = format!("`{written}` is taken as a value here, not as an operator");
        Some(self.warning("acl-operator-as-value", message, advice))
    }
}

/// RFC 9110, section 5.6.2.
fn is_token(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}
