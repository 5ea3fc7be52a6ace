//! Printing.

use std::io::{self, Write as _};

use serde_json::Value;

use super::args::Output;

/// Prints `value` as asked, or what `table` makes of it.
pub(super) fn show(
    output: Output,
    value: &Value,
    table: impl FnOnce(&Value) -> anyhow::Result<String>,
) -> anyhow::Result<()> {
    let text = match output {
        Output::Table => table(value)?,
        Output::Json => serde_json::to_string_pretty(value)? + "\n",
        Output::Yaml => yaml(value)?,
    };
    Ok(print(&text)?)
}

/// `value` as YAML.
pub(super) fn yaml(value: &Value) -> anyhow::Result<String> {
    let mut text = serde_saphyr::to_string(value)?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}

/// Whether a stream takes colours: a terminal does, unless `NO_COLOR` (no-color.org) is set.
pub(super) fn is_styled(stream: &impl io::IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Writes to standard output; a reader that has seen enough (`| head`) is no error.
pub(super) fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        written => written,
    }
}
