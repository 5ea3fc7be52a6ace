use super::*;

fn formatted(text: &str) -> String {
    format("f", text, "default").unwrap_or_else(|findings| panic!("{findings:?}\n{text}"))
}
#[test]
fn try_it() {
    for p in ["good/canary.yaml", "good/several.yaml", "good/foo-ingress.yaml"] {
        let t =
            std::fs::read_to_string(format!("{}/../tests/cases/{p}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        println!("{}=====", formatted(&t));
    }
    let t = "# head\n\n\n# of kind\nkind: gateways # k\nlevel: auto\n\nmetadata: # m\n    z: [1, 2, # two\n     3] # three\n    # after\n    text: |- # t\n       # no\n       b\n    t2: >\n      x\n      y\n    q: '1.10'\n    w: \"yes\"\n    v: '1.0.3'\n    e: [] # e\n  # odd\nroutes: # rr\n  - name: '[a.b:80]' # rn\n    # w\n    weight: '40.00%'\n  - (1) # one\n  # end of routes\nname: foo # the name\nselector: >-\n  label(app)(foo) and\n  label(v)((.*))\n\n\n# the end\n";
    let f = formatted(t);
    println!("{f}");
    assert_eq!(formatted(&f), f);
}
