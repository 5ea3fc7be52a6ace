//! `weir fmt`: normal form, comments kept.

use std::fs;

use gateway_tests::command::{Folder, assert_says, run, run_with_input};

const UGLY: &str =
    "# The shop.\nselector:   Label(app)(foo) AND label(version)((.*))   # all versions\nname:  foo\n";

#[test]
fn it_writes_normal_form_to_standard_output_and_keeps_comments() {
    let ran = run_with_input(&["fmt", "-"], UGLY);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_says(
        &ran.out,
        &["# The shop.\n", "name: foo\n", "selector: label(app)(foo) && label(version)((.*))"],
    );
    assert_says(&ran.out, &["# all versions"]);
    let again = run_with_input(&["fmt", "-"], &ran.out);
    assert_eq!(again.out, ran.out, "once is enough");
}

#[test]
fn in_place_it_names_the_files_that_it_changed() {
    let folder = Folder::new("fmt");
    let (ugly, neat) =
        (folder.write("a.yaml", UGLY), folder.write("b.yaml", "name: b\nselector: label(a)(b)\n"));
    let ran = run(&["fmt", "--check", &ugly, &neat]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), format!("{ugly}\n").as_str()));
    assert_eq!(fs::read_to_string(&ugly).unwrap(), UGLY, "only checked");
    let ran = run(&["fmt", "--write", &ugly, &neat]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), format!("{ugly}\n").as_str()));
    assert_eq!(run(&["fmt", "--check", &ugly, &neat]).code, Some(0));
}

#[test]
fn several_files_are_written_as_several_documents() {
    let folder = Folder::new("fmt-several");
    let (a, b) = (folder.write("a.yaml", "name: a\nselector: label(a)(b)\n"), folder.write("b.yaml", UGLY));
    let ran = run(&["fmt", &a, "/nonexistent.yaml", &b]);
    assert_eq!(ran.code, Some(1));
    assert_says(&ran.err, &["error[unreadable-file]", "/nonexistent.yaml"]);
    let names = run_with_input(&["check", "-", "-o", "json"], &ran.out).json();
    assert_eq!((&names["gateways"][0]["name"], &names["gateways"][1]["name"]), (&"a".into(), &"foo".into()));
}

#[test]
fn as_json_it_gives_each_text_and_whether_it_changed() {
    let folder = Folder::new("fmt-json");
    let (ugly, broken) =
        (folder.write("a.yaml", UGLY), folder.write("b.yaml", "name: b\nport: x\nselector: label(a)(b)\n"));
    let ran = run(&["fmt", &ugly, &broken, "-o", "json"]);
    assert_eq!(ran.code, Some(1));
    let file = &ran.json()["files"][0];
    assert_eq!((file["file"].as_str(), file["changed"].as_bool()), (Some(ugly.as_str()), Some(true)));
    assert_says(file["text"].as_str().unwrap(), &["name: foo\n"]);
    assert_eq!(ran.json()["findings"][0]["code"], "invalid-port");
}

#[test]
fn a_file_with_an_error_is_left_as_it_is() {
    let folder = Folder::new("fmt-broken");
    let file = folder.write("a.yaml", "name:   foo\nport: x\nselector: label(a)(b)\n");
    let ran = run(&["fmt", "--write", &file]);
    assert_eq!(ran.code, Some(1));
    assert_says(&ran.err, &["error[invalid-port]"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), "name:   foo\nport: x\nselector: label(a)(b)\n");
}
