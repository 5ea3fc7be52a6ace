//! `weir explain`: which route takes a request, and why.

use std::{fmt::Write as _, net::IpAddr, process::ExitCode};

use gateway_model::{
    condition::without_port,
    explain::{Asked, Explanation, Verdict, explain},
    gateway::Gateway,
    resolve,
    snapshot::Snapshot,
};
use http::{HeaderName, HeaderValue, Method, Uri};

use super::files;
use crate::cli::{
    args::{FileArgs, Output, UsageError},
    table::plain,
};

/// Reads a request as it is typed: `GET http://foo.bar.com/x`, and header fields as `Name: value`.
pub(super) fn read_request(
    request: &str,
    headers: &[String],
    client: IpAddr,
    sni: Option<String>,
) -> Result<Asked, UsageError> {
    let wrong = |what: &str| {
        UsageError(format!(
            "{request:?}: {what}; expected a method and a URL, as in 'GET http://foo.bar.com/x'"
        ))
    };
    let words: Vec<&str> = request.split_whitespace().collect();
    let (method, url) = match words.as_slice() {
        [url] => ("GET", *url),
        [method, url] => (*method, *url),
        _ => return Err(wrong("one blank is between the two")),
    };
    let method: Method = method.parse().map_err(|_| wrong(&format!("{method:?} is not a method")))?;
    let url: Uri = url.parse().map_err(|error| wrong(&format!("{url:?} is not a URL ({error})")))?;
    let (Some(host), Some(scheme)) = (url.host(), url.scheme_str()) else {
        return Err(wrong("the URL has no scheme or no host"));
    };
    let is_tls = match scheme {
        "http" => false,
        "https" => true,
        _ => return Err(wrong("its scheme is neither http nor https")),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let mut asked = Asked {
        method: method.to_string(),
        port: url.port_u16().unwrap_or(if is_tls { 443 } else { 80 }),
        path: url.path().to_owned(),
        query: url.query().unwrap_or_default().to_owned(),
        headers: Vec::new(),
        client: client.to_canonical(),
        sni: sni.unwrap_or_else(|| if is_tls { host.clone() } else { String::new() }),
        host,
    };
    let authority = url.authority().map_or("", http::uri::Authority::as_str);
    let has_port = authority.rsplit(['@', ']']).next().is_some_and(|end| end.contains(':'));
    if has_port && url.port_u16().is_none() {
        return Err(wrong("its port is not a number from 1 to 65535"));
    }
    let given = headers.iter().map(|header| read_header(header)).collect::<Result<Vec<_>, _>>()?;
    if !given.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        // Every client sends it.
        let host = authority.rsplit('@').next().unwrap_or_default();
        asked.headers.push(("host".to_owned(), host.to_owned()));
    }
    for (name, value) in given {
        if name.eq_ignore_ascii_case("host") {
            without_port(&value).clone_into(&mut asked.host);
        }
        asked.headers.push((name, value));
    }
    Ok(asked)
}

fn read_header(text: &str) -> Result<(String, String), UsageError> {
    let wrong =
        || UsageError(format!("-H {text:?}: expected a name, a colon and a value, as in 'X-Group: testers'"));
    let (name, value) = text.split_once(':').ok_or_else(wrong)?;
    let (name, value) = (name.trim(), value.trim());
    name.parse::<HeaderName>().map_err(|_| wrong())?;
    HeaderValue::from_str(value).map_err(|_| wrong())?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Explains what becomes of a request; exits with 1 where no route takes it.
pub(super) fn run(
    files: &FileArgs,
    asked: &Asked,
    user: Option<&str>,
    format: Output,
) -> anyhow::Result<ExitCode> {
    let (mut loaded, settings) = files::load(files)?;
    if files.config.is_empty() {
        narrow(&mut loaded.gateways, &asked.host);
    }
    let snapshot = Snapshot {
        gateways: loaded.gateways.clone(),
        workloads: loaded.workloads.clone(),
        settings,
        ..Snapshot::default()
    };
    let resolved = resolve::resolve(&snapshot);
    loaded.extend(resolved.findings.iter().cloned());
    loaded.settle();
    let explanation = explain(&resolved, asked, user);
    if format != Output::Table {
        // They are no part of the answer.
        loaded.complain()?;
    }
    files::answer(&loaded, format, &explanation, || describe(&explanation, asked, false))?;
    let is_taken = explanation.shares.0.iter().any(|(_, share)| *share > 0.0);
    Ok(if is_taken { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Of a cluster's gateways, which may have the same port, the one whose Service the URL names.
fn narrow(gateways: &mut [Gateway], host: &str) {
    let mut names = host.split('.');
    let (service, namespace) = (names.next(), names.next());
    let is_meant = |gateway: &Gateway| {
        Some(gateway.service_name().as_str()) == service
            && namespace.is_none_or(|namespace| gateway.key.namespace == namespace)
    };
    if gateways.iter().any(is_meant) {
        // Others may be led to.
        gateways.sort_by_key(|gateway| !is_meant(gateway));
    }
}

fn describe(explanation: &Explanation, asked: &Asked, is_inner: bool) -> String {
    let mut out = String::new();
    let mut line = |text: std::fmt::Arguments<'_>| {
        out.write_fmt(text).and_then(|()| out.write_char('\n')).expect("writing to a String does not fail");
    };
    let (Some(gateway), Some(namespace)) = (&explanation.gateway, &explanation.namespace) else {
        line(format_args!(
            "No gateway answers: none has the virtual host `{}`, and none the port {}.",
            asked.host, asked.port
        ));
        return out;
    };
    match &explanation.virtual_host {
        Some(host) => line(format_args!("Gateway    {namespace}/{gateway}, by its virtual host {host}")),
        None if is_inner => line(format_args!("Gateway    {namespace}/{gateway}")),
        None => line(format_args!("Gateway    {namespace}/{gateway}, by its port {}", asked.port)),
    }
    match &explanation.condition {
        Some(matched) => {
            line(format_args!("Condition  {}  (of route {})", matched.expression, matched.route));
            line(format_args!("Strength   {}%", matched.strength));
        }
        None if explanation.terms.is_empty() => line(format_args!("Condition  none to ask")),
        None => line(format_args!("Condition  none matches")),
    }
    match &explanation.route {
        Some(route) => line(format_args!("Route      {route}")),
        None if explanation.shares.0.iter().all(|(_, share)| *share == 0.0) => {
            line(format_args!("Route      none can take it: it is answered 503, or refused"));
        }
        None => line(format_args!("Route      by chance, as the shares say")),
    }
    line(format_args!(""));
    let rows = explanation.shares.0.iter().map(|(name, share)| [name.to_string(), format!("{share}%")]);
    out.push_str(&plain(["ROUTE", "SHARE"], rows));
    if !explanation.terms.is_empty() {
        let rows = explanation.terms.iter().map(verdict);
        out.push('\n');
        out.push_str(&plain(["CONDITION OF", "TERM", "MATCHES", "CONDITION"], rows));
    }
    for (route, inner) in &explanation.chained.0 {
        write!(out, "\nRoute {route} leads to a gateway:\n\n").expect("writing to a String does not fail");
        out.push_str(&describe(inner, asked, true));
    }
    out
}

fn verdict(verdict: &Verdict) -> [String; 4] {
    let word = |value: bool| if value { "yes" } else { "no" };
    let whole = match (verdict.tried, verdict.condition_matches) {
        (false, _) => "not asked: an earlier one matched".to_owned(),
        (true, true) => "matches".to_owned(),
        (true, false) => "does not match".to_owned(),
    };
    let term = if verdict.negated { format!("not ({})", verdict.term) } else { verdict.term.clone() };
    [verdict.route.to_string(), term, word(verdict.matches != verdict.negated).to_owned(), whole]
}
