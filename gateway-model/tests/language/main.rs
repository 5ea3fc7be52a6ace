//! docs/language.md is true: its examples come out as it says, its grammars describe what the parsers accept, and
//! its lists are complete.

mod artifacts;
mod codes;
mod expressions;
mod grammar;
mod grammars;
mod page;
mod request;
