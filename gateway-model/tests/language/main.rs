//! docs/language.md is true: its examples come out as it says, its grammars describe what the parsers accept, and
//! its lists are complete.

mod artifacts;
mod codes;
mod conditions;
mod fields;
mod grammar;
mod grammars;
mod page;
mod request;
mod rewrites;
mod selectors;

#[test]
fn every_block_of_the_page_is_of_a_kind_that_is_checked() {
    let known = [
        "yaml",
        "yaml workloads",
        "condition",
        "selector",
        "rewrite",
        "ebnf boolean",
        "ebnf condition",
        "ebnf selector",
        "ebnf rewrite",
        "text finding",
        "json finding",
    ];
    for block in page::all_blocks() {
        assert!(known.contains(&block.info.as_str()), "line {}: nobody checks `{}`", block.line, block.info);
    }
}
