//! What the terms of a condition say of a request, as facts that can exclude each other.
//!
//! A host, path, method and SNI is one text; a header, cookie and query parameter may have several values, and a
//! term asks for one that passes: two such terms never exclude each other by their values alone.

use ipnet::IpNet;

use super::{Acl, AclTest, Carrier, Condition, Fetch, Position, Subject, Term, Test, compared::Compared};
use crate::{
    expression::refute::{self, Budget, Formula, are_refuted},
    weight::Weight,
};

/// One fact about a request.
#[derive(Debug)]
pub(super) enum Fact<'a> {
    /// A text, or one of several values, passes.
    Text { text: Text<'a>, compared: Compared<'a> },
    /// The comma-separated parts of a header are so many; both ends included.
    Count { header: &'a str, low: u64, high: u64 },
    /// There is a cookie of that name.
    Cookie(&'a str),
    /// The client is in the network.
    Client(IpNet),
    /// The client's share is below.
    Percent(Weight),
}

/// Which text of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Text<'a> {
    Host,
    Path,
    Method,
    Sni,
    /// Field lines, whole.
    Header(&'a str),
    /// Their comma-separated parts.
    HeaderPart(&'a str),
    Cookie(&'a str),
    Query(&'a str),
}

impl Condition {
    /// Whether every request that meets this condition surely meets `other` as well. `false` says nothing: the
    /// proof is sound, incomplete, and given up after a bounded amount of work.
    pub fn implies(&self, other: &Self) -> bool {
        let this = Formula::new(&self.expression, true, &meaning);
        let other = Formula::new(&other.expression, false, &meaning);
        are_refuted(&[&this, &other], &mut Budget::default())
    }

    /// Whether surely no request meets it.
    pub fn never_matches(&self) -> bool {
        are_refuted(&[&Formula::new(&self.expression, true, &meaning)], &mut Budget::default())
    }

    /// Whether surely every request meets it.
    pub fn always_matches(&self) -> bool {
        are_refuted(&[&Formula::new(&self.expression, false, &meaning)], &mut Budget::default())
    }
}

/// What a term, or where `truth` is false its negation, says.
pub(super) fn meaning(term: &Term, truth: bool) -> Formula<Fact<'_>> {
    match term {
        Term::Text { subject, negated, test } => {
            Formula::Fact(Fact::from_text(subject, test), truth != *negated)
        }
        Term::Present { carrier: Carrier::Header, name, wanted } => {
            Formula::Fact(Fact::Count { header: name, low: 1, high: u64::MAX }, truth == *wanted)
        }
        Term::Present { carrier: Carrier::Cookie, name, wanted } => {
            Formula::Fact(Fact::Cookie(name), truth == *wanted)
        }
        Term::Client(network) => Formula::Fact(Fact::Client(*network), truth),
        Term::Percent(below) => Formula::Fact(Fact::Percent(*below), truth),
        Term::Raw(acl) => acl_meaning(acl, truth),
    }
}

fn acl_meaning(acl: &Acl, truth: bool) -> Formula<Fact<'_>> {
    let text = match &acl.fetch {
        Fetch::Path => Some(Text::Path),
        Fetch::Method => Some(Text::Method),
        Fetch::Header(name) => Some(Text::HeaderPart(name)),
        Fetch::Cookie(name) => Some(Text::Cookie(name)),
        Fetch::Source | Fetch::HeaderCount(_) => None,
    };
    match (&acl.test, text, &acl.fetch) {
        (AclTest::Text(position, ignores_case, values), Some(text), _) => {
            let compared = |value| match position {
                Position::Whole => Compared::equals(value, *ignores_case),
                Position::Sub => Compared::contains(value, *ignores_case),
                Position::Beg => Compared::starts_with(value, *ignores_case),
                Position::End => Compared::ends_with(value, *ignores_case),
            };
            Formula::one_of(values.iter().map(|value| Fact::new(text, compared(value))), truth)
        }
        (AclTest::Regex(patterns, _), Some(text), _) => {
            let fact = |pattern| Fact::new(text, Compared::matches(pattern));
            Formula::one_of(patterns.iter().map(fact), truth)
        }
        (AclTest::Networks(networks), _, Fetch::Source) => {
            Formula::one_of(networks.iter().map(|network| Fact::Client(*network)), truth)
        }
        (AclTest::Counts(ranges), _, Fetch::HeaderCount(header)) => {
            let fact = |(low, high): &(u64, u64)| Fact::Count { header, low: *low, high: *high };
            Formula::one_of(ranges.iter().map(fact), truth)
        }
        // Nothing passes a test that does not fit what is looked at.
        _ => Formula::one_of(std::iter::empty(), truth),
    }
}

impl<'a> Fact<'a> {
    fn from_text(subject: &'a Subject, test: &'a Test) -> Self {
        let asked = match subject {
            Subject::Host => Text::Host,
            Subject::UserAgent => Text::Header("user-agent"),
            Subject::Header(name) => Text::Header(name),
            Subject::Cookie(name) => Text::Cookie(name),
            Subject::Path => Text::Path,
            Subject::Method => Text::Method,
            Subject::Query(name) => Text::Query(name),
            Subject::Sni => Text::Sni,
        };
        let ignores_case = subject.ignores_case();
        let compared = match test {
            Test::Equals(value) => Compared::equals(value, ignores_case),
            Test::Contains(value) => Compared::contains(value, ignores_case),
            Test::StartsWith(value) => Compared::starts_with(value, ignores_case),
            Test::EndsWith(value) => Compared::ends_with(value, ignores_case),
            Test::Matches(pattern) => Compared::matches(pattern),
            Test::Known(agent) => Compared::Known(*agent),
        };
        Self::new(asked, compared)
    }

    /// Where every value passes, it says that there is one.
    fn new(text: Text<'a>, compared: Compared<'a>) -> Self {
        match (text, compared.is_everything()) {
            (Text::Header(header) | Text::HeaderPart(header), true) => {
                Self::Count { header, low: 1, high: u64::MAX }
            }
            (Text::Cookie(name), true) => Self::Cookie(name),
            _ => Self::Text { text, compared },
        }
    }

    /// The header without which it cannot be true.
    fn needed_header(&self) -> Option<&'a str> {
        match self {
            Self::Text { text: Text::Header(name) | Text::HeaderPart(name), .. } => Some(name),
            Self::Text { text: Text::Cookie(_), .. } | Self::Cookie(_) => Some("cookie"),
            Self::Text { .. } | Self::Count { .. } | Self::Client(_) | Self::Percent(_) => None,
        }
    }

    /// Whether this one, which is true, excludes `other`; asked in both directions.
    fn true_excludes(&self, other: &Self, other_truth: bool, budget: &mut Budget) -> bool {
        match (self, other) {
            (Self::Text { text, compared }, Self::Text { text: other_text, compared: other_compared }) => {
                match (text, other_text, other_truth) {
                    (one, other, true) => {
                        one == other && one.is_single() && !compared.can_hold_with(other_compared, budget)
                    }
                    (one, other, false) if one == other => compared.implies(other_compared, budget),
                    (Text::HeaderPart(one), Text::Header(other), false) => {
                        one == other
                            && compared.as_part().is_some_and(|part| part.implies(other_compared, budget))
                    }
                    _ => false,
                }
            }
            (Self::Text { text: Text::Cookie(name), .. }, Self::Cookie(other)) => {
                !other_truth && name == other
            }
            (Self::Cookie(name), Self::Cookie(other)) => !other_truth && name == other,
            (_, Self::Count { header, low, high }) if self.needed_header() == Some(header) => {
                if other_truth {
                    *high == 0
                } else {
                    *low <= 1 && *high == u64::MAX
                }
            }
            (Self::Count { header: one, low, high }, Self::Count { header, low: least, high: most }) => {
                one == header
                    && if other_truth { low > most || least > high } else { least <= low && high <= most }
            }
            (Self::Client(one), Self::Client(other)) => {
                if other_truth {
                    !one.contains(other) && !other.contains(one)
                } else {
                    other.contains(one)
                }
            }
            (Self::Percent(one), Self::Percent(other)) => !other_truth && one <= other,
            _ => false,
        }
    }
}

impl refute::Fact for Fact<'_> {
    fn is_never(&self, truth: bool) -> bool {
        match self {
            Self::Text { text, compared } if truth => text.cannot_have(compared),
            Self::Text { text, compared } => text.is_single() && compared.is_everything(),
            Self::Count { low, high, .. } => {
                if truth {
                    low > high
                } else {
                    *low == 0 && *high == u64::MAX
                }
            }
            Self::Cookie(name) => truth && !is_cookie_name(name),
            Self::Client(_) => false,
            Self::Percent(below) => *below == if truth { Weight::ZERO } else { Weight::FULL },
        }
    }

    fn excludes(&self, truth: bool, other: &Self, other_truth: bool, budget: &mut Budget) -> bool {
        match (truth, other_truth) {
            (true, _) if self.true_excludes(other, other_truth, budget) => true,
            (_, true) => other.true_excludes(self, truth, budget),
            (true, false) => false,
            (false, false) => match (self, other) {
                (Self::Client(one), Self::Client(other)) => {
                    one.prefix_len() == 0 && other.prefix_len() == 0 && one != other
                }
                (Self::Count { header: one, low, high }, Self::Count { header, low: least, high: most }) => {
                    one == header
                        && (are_all((*low, *high), (*least, *most))
                            || are_all((*least, *most), (*low, *high)))
                }
                _ => false,
            },
        }
    }
}

/// Whether every count is in one of two ranges, the first of which begins lower.
fn are_all(first: (u64, u64), second: (u64, u64)) -> bool {
    first.0 == 0 && second.1 == u64::MAX && second.0 <= first.1.saturating_add(1)
}

impl Text<'_> {
    /// Whether a request has exactly one of it.
    fn is_single(self) -> bool {
        matches!(self, Self::Host | Self::Path | Self::Method | Self::Sni)
    }

    /// Whether no value can pass, by what values are cut out of a header: at commas or semicolons, with the
    /// blanks around them dropped.
    fn cannot_have(self, compared: &Compared<'_>) -> bool {
        let separator = match self {
            Self::HeaderPart(_) => ',',
            Self::Cookie(name) if !is_cookie_name(name) => return true,
            Self::Cookie(_) => ';',
            Self::Host | Self::Path | Self::Method | Self::Sni | Self::Header(_) | Self::Query(_) => {
                return false;
            }
        };
        compared.needs(separator) || compared.needs_blank_at_an_end()
    }
}

/// Whether the cookies of a request can have such a name.
fn is_cookie_name(name: &str) -> bool {
    !name.contains(['=', ';']) && name.trim_ascii() == name
}
