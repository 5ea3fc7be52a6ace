//! Artifacts for tests: random values of all fields, written in random styles.

use std::fmt::Write;

use proptest::prelude::*;

use super::pen::Pen;

/// A value to be written.
#[derive(Clone, Debug)]
pub(super) enum Tree {
    /// As it is.
    Plain(String),
    /// A text, in any style that it can have.
    Text(String),
    List(Vec<Self>),
    Map(Vec<(String, Self)>),
}

/// A text, and the comments in it.
#[derive(Clone, Debug)]
pub(super) struct Written {
    pub text: String,
    pub comments: Vec<String>,
}

/// Several gateways in one text.
pub(super) fn artifacts() -> impl Strategy<Value = Written> {
    let choices = prop::collection::vec(any::<u8>(), 64..512);
    (prop::collection::vec(gateway(), 1..4), any::<bool>(), choices).prop_map(
        |(mut gateways, as_list, choices)| {
            for (index, gateway) in gateways.iter_mut().enumerate() {
                if let Some((_, Tree::Text(name))) = gateway.iter_mut().find(|(field, _)| field == "name") {
                    write!(name, "{index}").unwrap();
                }
            }
            let gateways = gateways.into_iter().map(Tree::Map);
            let documents = if as_list { vec![Tree::List(gateways.collect())] } else { gateways.collect() };
            Pen::new(choices).write(&documents)
        },
    )
}

/// The same as JSON, in random order.
pub(super) fn json() -> impl Strategy<Value = String> {
    gateway().prop_map(|fields| to_json(&Tree::Map(fields)).to_string())
}

fn to_json(tree: &Tree) -> serde_json::Value {
    match tree {
        Tree::Plain(text) if text == "~" => serde_json::Value::Null,
        Tree::Plain(text) => serde_json::from_str(text).unwrap_or_else(|_| text.clone().into()),
        Tree::Text(text) => text.clone().into(),
        Tree::List(items) => items.iter().map(to_json).collect(),
        Tree::Map(entries) => entries.iter().map(|(key, value)| (key.clone(), to_json(value))).collect(),
    }
}

fn one_of(texts: &[&str]) -> impl Strategy<Value = Tree> + use<> {
    prop::sample::select(texts.iter().map(|text| Tree::Text((*text).to_owned())).collect::<Vec<_>>())
}

fn plain(texts: &[&str]) -> impl Strategy<Value = Tree> + use<> {
    prop::sample::select(texts.iter().map(|text| Tree::Plain((*text).to_owned())).collect::<Vec<_>>())
}

fn field(
    name: &'static str,
    value: impl Strategy<Value = Tree>,
) -> impl Strategy<Value = Vec<(String, Tree)>> {
    prop::option::of(value)
        .prop_map(move |value| value.into_iter().map(|value| (name.to_owned(), value)).collect())
}

fn gateway() -> impl Strategy<Value = Vec<(String, Tree)>> {
    let fields = (
        one_of(&[
            "foo", "'a", "yes", "12", "a#b", "a:b", "-", "!x", "&", "ä\"\\", "{}", "a,b", "null", "...", "%",
            "@",
        ]),
        field("kind", one_of(&["gateways", "gateway"])),
        field("port", prop_oneof![one_of(&["80/http", "081"]), plain(&["8080"])]),
        field("host_port", plain(&["true", "false"])),
        field("virtual_hosts", hosts()),
        field("routes", routes()),
        field("sticky", prop_oneof![one_of(&["route", "instance"]), sticky()]),
        field("preserve_client_ip", plain(&["true", "~"])),
        field("tls", prop_oneof![one_of(&["a"]), list(one_of(&["a.b", "c/d"]))]),
        field("level", one_of(&["auto", "request"])),
        field("metadata", metadata()),
        selector(),
    );
    let all = fields.prop_map(
        |(name, kind, port, host, hosts, routes, sticky, keep, tls, level, data, selector)| {
            let given = [kind, port, host, hosts, routes, sticky, keep, tls, level, data].concat();
            let always = [("name".to_owned(), name), ("selector".to_owned(), selector)];
            always.into_iter().chain(given).collect::<Vec<_>>()
        },
    );
    all.prop_shuffle()
}

fn list(item: impl Strategy<Value = Tree>) -> impl Strategy<Value = Tree> {
    prop::collection::vec(item, 0..4).prop_map(Tree::List)
}

fn hosts() -> impl Strategy<Value = Tree> {
    let host = || one_of(&["foo.bar.com", "*.bar.com", "a-very-long-name-of-a-host.example.com"]);
    prop_oneof![host(), list(host())]
}

fn sticky() -> impl Strategy<Value = Tree> {
    let by = prop_oneof![
        one_of(&["client"]).prop_map(|by| ("by".to_owned(), by)),
        one_of(&["X-User", "1"]).prop_map(|header| ("header".to_owned(), header)),
    ];
    by.prop_map(|by| Tree::Map(vec![by, ("keep".to_owned(), Tree::Text("route".to_owned()))]))
}

fn selector() -> impl Strategy<Value = Tree> {
    one_of(&[
        "label(app)(foo) && label(version)((.*))",
        "not  label(a)( x y ) or TRUE",
        "label(a)('#: \"x)",
        r"name(\d+\\) | ( true )",
        "label(a)(b) and\n  label(c)((.*))\n",
        "!true",
    ])
}

fn condition() -> impl Strategy<Value = Tree> {
    one_of(&[
        "User-Agent is Firefox",
        "< path_beg /a # >",
        "Header a: is ': #'",
        "Header x == 'a\n\nb'",
        "! Has Cookie x",
    ])
}

fn route() -> impl Strategy<Value = Vec<(String, Tree)>> {
    let fields = (
        field("weight", one_of(&["5%", " 0.50 %", "10.00%"])),
        field("condition", condition()),
        field("condition_strength", one_of(&["50.0%", "7%"])),
        field("priority", prop_oneof![one_of(&["7", "-1"]), plain(&["3"])]),
        field("rewrites", rewrites()),
        field("balance", one_of(&["p2c", "random"])),
        field("metadata", metadata()),
    );
    let all = fields.prop_map(|(a, b, c, d, e, f, g)| [a, b, c, d, e, f, g].concat());
    all.prop_shuffle()
}

fn rewrites() -> impl Strategy<Value = Tree> {
    let one = || {
        let new = one_of(&["/new if Path is /old", "/a"]);
        new.prop_map(|text| Tree::Map(vec![("path".to_owned(), text)]))
    };
    prop_oneof![one(), prop::collection::vec(one(), 1..3).prop_map(Tree::List)]
}

fn routes() -> impl Strategy<Value = Tree> {
    let long = format!("({})", "x".repeat(1200));
    let names =
        vec!["(1.0.3)", "(a),(b)", "()", "[198.51.100.7:80]", "[[2001:db8::7]:80]", "( # :)", "plain", &long];
    let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
    let all = prop::sample::subsequence(names, 1..5);
    (all, prop::collection::vec((route(), 0_u8..5), 5), any::<bool>()).prop_map(|(names, bodies, as_list)| {
        let mut routes: Vec<_> = names.into_iter().zip(bodies).collect();
        // Something is left for the others.
        routes[0].1.0.retain(|(field, _)| field != "weight");
        if !as_list {
            let nothing = || Tree::Plain("~".to_owned());
            let entry = |(name, (body, form))| (name, if form == 0 { nothing() } else { Tree::Map(body) });
            return Tree::Map(routes.into_iter().map(entry).collect());
        }
        if let [(name, (_, 0))] = routes.as_slice() {
            return Tree::Text(name.clone());
        }
        let item = |(name, (mut body, form)): (String, (Vec<_>, u8))| match form {
            0 => Tree::Text(name),
            1 => Tree::Map(vec![(name, Tree::Map(body))]),
            form => {
                body.insert(usize::from(form) % (body.len() + 1), ("name".to_owned(), Tree::Text(name)));
                Tree::Map(body)
            }
        };
        Tree::List(routes.into_iter().map(item).collect())
    })
}

fn nasty() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "a",
        " ",
        "  ",
        "\n",
        "\n\n",
        "#",
        " #",
        ": ",
        ":",
        "-",
        "- ",
        "'",
        "\"",
        "\\",
        "\t",
        "\r",
        "{",
        "}",
        "[",
        "]",
        ",",
        "|",
        ">",
        "ä",
        "\u{85}",
        "\u{2028}",
        "\u{feff}",
        "\0",
        "\u{1f600}",
        "1",
        ".",
        "!",
        "&",
        "*",
        "%",
        "@",
        "`",
        "?",
        "---",
        "...",
        "~",
        "null",
    ]);
    let typed = vec![
        "1.10",
        "0x1F",
        "null",
        "~",
        "",
        "true",
        "yes",
        "1e3",
        "1_000",
        "1.0.3",
        "-.5",
        ".inf",
        "2001-12-14",
        "12:30",
        "<<",
        "=",
        "+1",
        "0o7",
        "1e400",
        "a\nb",
        "a\nb\n",
        "a\n\n",
        "# x\ny",
        "\na",
        " a\nb",
        "a\n b\n\n\n",
        "a\n \nb",
        "\n",
        "No",
    ];
    prop_oneof![
        3 => prop::collection::vec(word, 0..8).prop_map(|words| words.concat()),
        3 => prop::sample::select(typed).prop_map(str::to_owned),
        1 => any::<String>(),
    ]
}

fn metadata() -> impl Strategy<Value = Tree> {
    let scalar = prop_oneof![
        nasty().prop_map(Tree::Text),
        plain(&[
            "1.10", "~", "true", "yes", "17", "1e3", "0x1F", "null", "-0", "1.0.3", "no", "False", "a b"
        ]),
    ];
    let value = scalar.prop_recursive(3, 12, 4, |inner| prop_oneof![list(inner.clone()), map(inner)]);
    map(value)
}

fn map(value: impl Strategy<Value = Tree>) -> impl Strategy<Value = Tree> {
    prop::collection::vec((nasty(), value), 0..4).prop_map(|mut entries| {
        entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        entries.dedup_by(|(a, _), (b, _)| a == b);
        entries.reverse();
        Tree::Map(entries)
    })
}
