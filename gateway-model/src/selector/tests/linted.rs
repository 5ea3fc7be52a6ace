//! Warnings: what is legal and surely wrong is said, with its place; what may be right is not.

use super::*;

fn warned(text: &str) -> Vec<String> {
    let selector = Selector::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    selector.lint().iter().map(|warning| format!("{} {}", warning.code, warning.span.of(text))).collect()
}

#[test]
fn contradictions_are_told() {
    for text in [
        "label(app)(foo) && label(app)(bar)",
        "label(app)(foo) && !label(app)(f.*)",
        r"ip(10\.0\.0\.1) and ip(10\.0\.0\.2)",
        "name(a) and not name(a)",
        "kind(pod) && kind(service)",
        "kind(pod) && !kind(container)",
        "index(0) && index(1)",
        "label(app)(foo) && (label(app)(bar) || label(app)(baz))",
        "namespace(a) & namespace(b.*)",
    ] {
        assert_eq!(warned(text), [format!("selector-never-matches {text}")]);
    }
    assert_eq!(
        warned("label(a)(b) or not label(a)(b)"),
        ["selector-always-matches label(a)(b) or not label(a)(b)"]
    );
    assert_eq!(warned("label(a)(b) || (name(x) && name(y))"), ["part-never-matches name(x) && name(y)"]);
}

#[test]
fn groups_that_capture_nothing_are_told() {
    assert_eq!(warned("!label(a)((.*)) && name(x)"), ["group-in-negation label(a)((.*))"]);
    assert_eq!(warned("!(!label(a)((.*))) && name(x)"), ["group-in-negation label(a)((.*))"]);
    assert_eq!(warned("label(version)(1.0())"), ["group-captures-nothing label(version)(1.0())"]);
    assert_eq!(warned("label(version)((.*))"), Vec::<String>::new());
}

#[test]
fn names_and_values_that_nothing_has_are_told() {
    let long = format!("label({})(x)", "a".repeat(64));
    let too_long = format!("label-name-invalid {long}");
    for (text, warning) in [
        ("label(app name)(x)", "label-name-invalid label(app name)(x)"),
        ("label(-app)(x)", "label-name-invalid label(-app)(x)"),
        ("label(a/b/c)(x)", "label-name-invalid label(a/b/c)(x)"),
        (&long, too_long.as_str()),
        ("label(app)(foo bar)", "label-value-invalid label(app)(foo bar)"),
        ("label(app)(a/.*)", "label-value-invalid label(app)(a/.*)"),
        ("kind(pods)", "unknown-kind kind(pods)"),
        ("kind(Pod)", "unknown-kind kind(Pod)"),
        ("ip(10.0.0.0/8)", "ip-invalid ip(10.0.0.0/8)"),
        ("ip(localhost)", "ip-invalid ip(localhost)"),
        ("port(80800)", "port-invalid port(80800)"),
        ("port(0)", "port-invalid port(0)"),
    ] {
        assert_eq!(warned(text), [warning]);
    }
}

#[test]
fn what_may_be_right_is_not_warned_of() {
    for text in [
        "label(app)(.*)",
        "label(app)(foo) && label(version)((.*))",
        "label(app.kubernetes.io/name)(foo_1.x)",
        "label(app)()",
        "label(app)((?i)FOO)",
        "true",
        "false",
        "label(a)(b) or true",
        "label(a)(b) || !(label(a)(c))",
        "image(a) && image(b)",
        "port(80) && port(http)",
        "port(8080|80800)",
        "kind(pod) && kind(container)",
        "kind(.*)",
        "ip(10.0.0.1)",
        r"ip(fd00::.*)",
        "ip((?i)FD00::1)",
        "label(a)(x.*) and label(a)(.*y)",
        "name(foo) and not name(foo-.*)",
        "label(a)(b|c) && !label(a)(b)",
    ] {
        assert_eq!(warned(text), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn whether_a_group_is_captured_is_known() {
    for (text, captures) in [
        ("label(version)((.*))", true),
        ("label(app)(foo)", false),
        ("label(app)((?:foo))", false),
        ("!label(version)((.*))", false),
        ("true || (name(x) && image((.*)))", true),
        (r"name(\(x\))", false),
    ] {
        assert_eq!(Selector::parse(text).unwrap().captures_a_group(), captures, "{text}");
    }
}
