//! Descriptions for tests of outputs: the example chat, an API whose words all try to break out of the output, and a large API.

use serde_json::{Value, json};

use crate::description::{Description, FORMAT};

/// The API of the example chat.
pub(crate) fn chat() -> Description {
    Description::from_json(include_str!("fixtures/chat.json")).expect("the fixture is a description")
}

/// A text with markup, ends of comments and strings, and broken links.
const BREAKOUT: &str = "`*/ alert(1) /* </script><script>alert(2)</script> <img src=x onerror=alert(3)> ${x} \" ' \\ `` ``` \
    *\r/ alert(5) \0 \u{1b}[31m \u{202e} \u{2028} \u{9b} --> <!-- [x](javascript:alert(4)) | [Nobody::none] [`Node::next`] @deprecated {@link x}\n\n# Heading\n\n```rust\nfn main() { /* */ }\n";

/// An API whose names and comments try to break every output, with types of all kinds.
pub(crate) fn hostile() -> Description {
    let mut types = hostile_types();
    types.sort_by(|one, next| one["name"].as_str().cmp(&next["name"].as_str()));
    let description = json!({
        "format": FORMAT,
        "title": "<script>alert('title')</script> */ \"`",
        "version": "1.0.0\" */ <b>",
        "docs": format!("{BREAKOUT}{}", "long ".repeat(20_000)),
        "services": hostile_services(),
        "types": types,
        "flows": [
            {
                "type": {"ref": "Node"},
                "from": [
                    {"service": "class", "method": "constructor"},
                    {"service": "class", "method": "constructor", "path": [{"field": "children"}, "element"]},
                    {"service": "class", "method": "constructor", "path": [{"field": "then"}, "some"]},
                ],
                "into": [{"argument": {"service": "class", "method": "constructor", "argument": "class"}}],
            },
            {
                "type": {"object": "Inner */ <b>"},
                "from": [{"service": "class", "method": "open it", "path": [{"field": "of`it"}, {"index": 0}]}],
                "into": [{"target": {"service": "Inner */ <b>"}}],
            },
        ],
        "limits": [{"name": "<i>", "value": "1 | 2", "meaning": BREAKOUT}],
    });
    Description::from_json(&description.to_string()).expect("the fixture is a description")
}

fn method(name: &str, arguments: &[(&str, Value)], result: &Value, more: &Value) -> Value {
    let arguments: Vec<Value> =
        arguments.iter().map(|(name, ty)| json!({"name": name, "type": ty, "rust": "Thing"})).collect();
    let mut method = json!({
        "name": name,
        "docs": BREAKOUT,
        "arguments": arguments,
        "result": {"type": result, "rust": "Result<\"`*/>"},
        "fingerprint": "0123456789abcdef",
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        method[key] = value.clone();
    }
    method
}

fn hostile_services() -> Value {
    let error = json!({"error": {"type": {"ref": "Wide"}, "rust": "Wide"}});
    let node = json!({"ref": "Node"});
    let tuple = json!({"tuple": ["u8", "i64", {"option": {"option": "bool"}}]});
    let streams = json!({"tuple": [
        {"stream": {"item": {"stream": {"item": "bytes"}}}},
        {"option": {"stream": {"item": node, "error": {"ref": "Wide"}}}},
        {"list": {"object": "Listener"}},
    ]});
    let class = [
        method("constructor", &[("class", node.clone()), ("__proto__", tuple.clone())], &node, &error),
        method("__proto__", &[("then", json!({"option": {"ref": "Page<a::User>"}}))], &json!("u128"), &error),
        method(
            "then",
            &[("then", json!("string"))],
            &json!("unit"),
            &json!({"deprecated": BREAKOUT, "idempotent": true}),
        ),
        method(
            "open it",
            &[("the-name", json!({"map": {"key": {"ref": "Key"}, "value": "f64"}}))],
            &json!({"ref": "Opened"}),
            &json!({"rust_name": "open_it", "error": {"type": "string", "rust": "String"}}),
        ),
        method("\"quoted\"`*/", &[("await", json!({"list": {"ref": "Never"}}))], &streams, &json!({})),
        method(
            "streams",
            &[("upload", json!({"stream": {"item": "char"}})), ("listener", json!({"object": "Listener"}))],
            &json!({"stream": {"item": {"ref": "Page<b::User>"}}}),
            &json!({"error": {"type": {"ref": "Never"}, "rust": "Never"}, "problems": ["cannot be */ called"]}),
        ),
        method("notify", &[("what", json!({"ref": "Pairs"}))], &json!("unit"), &json!({"oneway": true})),
        method("one", &[("id", json!("i128"))], &json!({"unknown": "no */ idea"}), &json!({"batch": "many"})),
        method("many", &[("ids", json!({"list": "i128"}))], &json!({"list": {"unknown": ""}}), &json!({})),
    ];
    let inner = [
        method("to String", &[], &json!("unit"), &json!({})),
        method("toString", &[], &json!("f32"), &json!({})),
    ];
    let listener = [
        method("heard", &[("var", node)], &json!("unit"), &json!({"oneway": true})),
        method("default", &[("default", tuple)], &json!({"ref": "Wide"}), &error),
    ];
    json!([
        {"name": "class", "rust_name": "Class", "docs": BREAKOUT, "implemented_by": "server", "is_root": true, "ordered": true, "methods": class},
        {"name": "Inner */ <b>", "rust_name": "Inner", "docs": BREAKOUT, "implemented_by": "server", "is_root": false, "methods": inner},
        {"name": "Listener", "docs": BREAKOUT, "implemented_by": "client", "is_root": false, "methods": listener},
        {"name": "Node", "rust_name": "NodeService", "implemented_by": "both", "is_root": true, "methods": []},
    ])
}

fn hostile_types() -> Vec<Value> {
    let wide: Vec<Value> = (0..65)
        .map(|number| match number % 4 {
            0 => json!({"name": format!("V{number}"), "docs": BREAKOUT, "message": BREAKOUT}),
            1 => json!({"name": format!("V {number}\"*/"), "content": {"newtype": {"ref": "Node"}}}),
            2 => json!({"name": format!("V{number}"), "content": {"tuple": ["u8", "string"]}, "deprecated": ""}),
            _ => json!({"name": format!("V{number}"), "content": {"struct": [{"name": "constructor", "type": "u64"}]}}),
        })
        .chain([json!({"name": "Gone", "content": "unreadable"})])
        .collect();
    let user = |docs: &str| {
        json!({"struct": [
            {"name": "id", "docs": docs, "type": "u64"},
            {"name": "name", "type": {"ref": "Uuid"}, "has_default": true},
        ]})
    };
    vec![
        json!({"name": "Node", "docs": BREAKOUT, "pipelined": true, "shape": {"struct": [
            {"name": "children", "docs": BREAKOUT, "type": {"list": {"ref": "Node"}}},
            {"name": "then", "type": {"option": {"ref": "Node"}}},
            {"name": "__proto__", "type": {"map": {"key": "u32", "value": {"ref": "Node"}}}, "has_default": true},
            {"name": "constructor", "type": {"array": {"element": "f32", "len": 3}}},
            {"name": "a-b \"c\" */", "rust_name": "a_b", "type": {"result": {"ok": "unit", "error": {"ref": "Wide"}}}},
            {"name": "&", "type": "bytes", "deprecated": BREAKOUT},
        ]}}),
        json!({"name": "a::User", "path": "x::a::User", "docs": BREAKOUT, "shape": user("`")}),
        json!({"name": "b::User", "path": "x::b::User", "shape": user("*/"), "deprecated": "gone"}),
        json!({"name": "a_User", "shape": "unit"}),
        json!({"name": "Page<a::User>", "shape": {"struct": [{"name": "items", "type": {"list": {"ref": "a::User"}}}]}}),
        json!({"name": "Page<b::User>", "shape": {"struct": [{"name": "items", "type": {"list": {"ref": "b::User"}}}]}}),
        json!({"name": "Never", "shape": "never"}),
        json!({"name": "Void", "shape": {"enum": []}}),
        json!({"name": "Wide", "docs": BREAKOUT, "shape": {"enum": wide}}),
        json!({"name": "Key", "shape": {"struct": [{"name": "x", "type": "i32"}]}}),
        json!({"name": "Plain", "shape": {"enum": [{"name": "A"}, {"name": "B */"}]}}),
        json!({"name": "Pairs", "shape": {"tuple": [
            {"map": {"key": {"ref": "Key"}, "value": {"ref": "Plain"}}},
            {"map": {"key": {"ref": "Plain"}, "value": {"option": {"option": "string"}}}},
            {"map": {"key": "bool", "value": {"option": "unit"}}},
        ]}}),
        json!({"name": "Uuid", "shape": {"opaque": {"reads": "bytes"}}, "json": "string",
            "schema": {"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "string", "format": "uuid"}}),
        json!({"name": "Own", "shape": {"opaque": {}}, "schema": {
            "$ref": "#/definitions/Part", "definitions": {"Part": {"type": "object", "properties": {"own": {"$ref": "#"}}}}}}),
        json!({"name": "string", "shape": {"newtype": {"ref": "Promised"}}}),
        json!({"name": "Promised", "shape": {"newtype": {"option": {"ref": "string"}}}}),
        json!({"name": "Endless", "shape": {"newtype": {"ref": "Endless"}}}),
        json!({"name": "Unknown", "shape": {"unknown": BREAKOUT}}),
        json!({"name": "constructor", "shape": {"newtype": {"ref": "__proto__"}}}),
        json!({"name": "__proto__", "shape": {"newtype": {"map": {"key": "string", "value": {"ref": "__proto__"}}}}}),
        json!({"name": "Infinite", "shape": {"struct": [{"name": "next", "type": {"ref": "Infinite"}}]}}),
        json!({"name": "Opened", "shape": {"struct": [
            {"name": "of`it", "rust_name": "of_it", "type": {"tuple": [{"object": "Inner */ <b>"}, {"ref": "Own"}]}},
            {"name": "others", "type": {"list": {"ref": "Void"}}},
            {"name": "word", "type": {"ref": "string"}},
        ]}}),
    ]
}

/// A service of 300 methods with 500 types.
pub(crate) fn big() -> Description {
    let types: Vec<Value> = (0..500)
        .map(|number| {
            let fields: Vec<Value> = (0..8)
                .map(|field| {
                    let other = json!({"ref": format!("Type{:03}", number - number % 10 + (number * 7 + field * 3) % 10)});
                    let ty = match field % 4 {
                        0 => json!("u64"),
                        1 => json!("string"),
                        2 => json!({"list": other}),
                        _ => json!({"option": other}),
                    };
                    json!({"name": format!("field_{field}"), "docs": "A field. See [`Type001`].", "type": ty})
                })
                .collect();
            json!({"name": format!("Type{number:03}"), "docs": "A type.", "shape": {"struct": fields}, "pipelined": true})
        })
        .collect();
    let methods: Vec<Value> = (0..300)
        .map(|number| {
            let arguments = [("one", json!("u64")), ("two", json!({"ref": format!("Type{number:03}")}))];
            method(
                &format!("method_{number}"),
                &arguments,
                &json!({"ref": format!("Type{:03}", number + 100)}),
                &json!({"docs": "Does something. See [`Big::method_1`] and [Type002::field_1]."}),
            )
        })
        .collect();
    let sources: Vec<Value> = (0..300)
        .map(|number| json!({"service": "Big", "method": format!("method_{number}"), "path": [{"field": "field_0"}]}))
        .collect();
    let sinks: Vec<Value> = (0..300)
        .map(|number| json!({"argument": {"service": "Big", "method": format!("method_{number}"), "argument": "one"}}))
        .collect();
    let description = json!({
        "format": FORMAT, "title": "Big", "version": "1", "types": types,
        "services": [{"name": "Big", "implemented_by": "server", "is_root": true, "methods": methods}],
        "flows": [{"type": "u64", "from": sources, "into": sinks}],
    });
    Description::from_json(&description.to_string()).expect("the fixture is a description")
}
