use proptest::prelude::*;

use super::*;
use crate::gateway::GatewayArtifact;

mod artifacts;
mod pen;

fn formatted(text: &str) -> String {
    format("f", text, "default").unwrap_or_else(|findings| panic!("{findings:?}\n{text}"))
}

/// What a text declares, places left aside.
fn declared(text: &str) -> Vec<GatewayArtifact> {
    let parsed = gateway::parse("f", text, "default");
    assert!(!parsed.has_errors(), "{:?}\n{text}", parsed.findings);
    parsed.gateways.iter().map(GatewayArtifact::from).collect()
}

fn assert_kept(text: &str, comments: &[String]) {
    let written = formatted(text);
    assert_eq!(declared(&written), declared(text), "{text}\n=>\n{written}");
    let again = formatted(&written);
    let differs = again.lines().zip(written.lines()).find(|(again, first)| again != first);
    assert_eq!(differs, None, "{text}\n=>\n{written}\n=>\n{again}");
    assert_eq!(again, written);
    let found = read::read(&written).unwrap();
    let mut comments: Vec<&str> = comments.iter().map(String::as_str).collect();
    comments.sort_unstable();
    assert_eq!(found.comments(), comments, "{text}\n=>\n{written}");
}

#[test]
fn comments_stay_with_their_entries_when_those_move() {
    let text =
        "# of kind\nkind: gateways # k\n# of the selector\n\n# too\nselector: 'true' # s\nname: a # n\n";
    let written =
        "name: a # n\n# of kind\nkind: gateways # k\n# of the selector\n\n# too\nselector: 'true' # s\n";
    assert_eq!(formatted(text), written);
}

#[test]
fn a_header_stays_at_the_top_and_an_end_at_the_end() {
    let text = "# head\n---\n# more\n\n\n# k\nkind: gateways\nselector: 'true'\nname: a\n\n\n# end\n";
    let written = "# head\n# more\n\nname: a\n# k\nkind: gateways\nselector: 'true'\n\n# end\n";
    assert_eq!(formatted(text), written);
    assert_eq!(formatted("\n# nothing\n\n\n# else\n"), "# nothing\n\n# else\n");
    assert_eq!(formatted(""), "");
}

#[test]
fn comments_behind_entries_stay_inside_by_their_indentation() {
    let text = "metadata:\n    a:\n      - 1\n      # of a\n    # of the metadata\n# of the name\nname: a\nselector: 'true'\n";
    let written =
        "# of the name\nname: a\nselector: 'true'\nmetadata:\n  a:\n  - 1\n    # of a\n  # of the metadata\n";
    assert_eq!(formatted(text), written);
}

#[test]
fn comments_between_brackets_make_a_block() {
    let text = "{name: a, # n\n selector: 'true', metadata: {a: [ # x\n 1, # y\n 2] # z\n }}\n";
    let written = "name: a # n\nselector: 'true'\nmetadata:\n  a: # x\n  - 1 # y\n  - 2\n    # z\n";
    assert_eq!(formatted(text), written);
}

#[test]
fn what_looks_like_a_comment_and_is_none_stays_text() {
    let text = "name: a#b\nselector: 'true'\nmetadata:\n  a: 'x # y'\n  b: \"x \\\" # y\" # c\n  c: |\n    # z\n  d: x#y z\n";
    let written = "name: a#b\nselector: 'true'\nmetadata:\n  a: 'x # y'\n  b: 'x \" # y' # c\n  c: |\n    # z\n  d: x#y z\n";
    assert_eq!(formatted(text), written);
}

#[test]
fn line_breaks_are_those_of_unix_and_a_byte_order_mark_goes() {
    let text = "\u{feff}name: a\r\nselector: 'true' # c\r\nmetadata:\r  a: |\r\n    b\r\n    c\r\n";
    assert_eq!(formatted(text), "name: a\nselector: 'true' # c\nmetadata:\n  a: |\n    b\n    c\n");
}

#[test]
fn several_json_documents_are_yaml() {
    let text = "{\"name\": \"a\", \"selector\": \"true\"}\n---\n{\"name\": \"b\", \"selector\": \"true\"}\n";
    assert_eq!(formatted(text), "name: a\nselector: 'true'\n---\nname: b\nselector: 'true'\n");
    let one = "{\"selector\": \"true\", \"name\": \"a\"}";
    assert_eq!(formatted(one), "{\n  \"name\": \"a\",\n  \"selector\": \"true\"\n}\n");
    assert_eq!(formatted(&format!("{one} # c\n")), "name: a\nselector: 'true'\n# c\n");
}

#[test]
fn an_expression_that_would_not_read_as_the_same_stays_as_written() {
    let long = format!("{}true", "true&".repeat(3000));
    let written = formatted(&format!("selector: {long}\nname: a\n"));
    assert_eq!(written, format!("name: a\nselector: {long}\n"));
}

proptest! {
    #[test]
    fn nothing_is_lost_and_nothing_changes_its_meaning(artifacts in artifacts::artifacts()) {
        assert_kept(&artifacts.text, &artifacts.comments);
    }

    #[test]
    fn json_stays_json_and_means_the_same(text in artifacts::json()) {
        let written = formatted(&text);
        prop_assert!(is_json(&written));
        assert_kept(&text, &[]);
    }

    #[test]
    fn no_text_panics(text in any::<String>()) {
        let _ = format("f", &text, "default");
    }

    #[test]
    fn a_text_of_its_own_words_is_refused_or_kept(words in prop::collection::vec(prop::sample::select(vec![
        "name: a\n", "selector: 'true'\n", "metadata:\n", "metadata: ", "routes:\n", "routes: ", "a", "b: ", "\n", "\n", "\n", "- ", " ", "  ", "  ", "    ",
        "{", "}", "[", "]", ", ", "\"", "'", "(1)", "---\n", "...\n", "? ", ": ", "|", ">", "-", "+", "2", "!!str ", "!x ", "#", " # c", "# d\n", "\t", "\r",
        "\r\n", "\u{e4}", "\\", "~", "weight: 5%\n", "name: b\n", "%X y\n", "\u{feff}", "  a: ", "  - ", "  a: |\n", "    b\n",
    ]), 0..40)) {
        let text = format!("{}{}", if words.len() % 3 == 0 { "" } else { "name: a\nselector: 'true'\n" }, words.concat());
        if let Ok(written) = format("f", &text, "default") {
            prop_assert_eq!(declared(&written), declared(&text), "{}\n=>\n{}", text, written);
            prop_assert_eq!(&formatted(&written), &written, "{}", text);
        } else {
            prop_assert!(gateway::parse("f", &text, "default").has_errors(), "{}", text);
        }
    }
}
