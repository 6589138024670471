//! Writes all examples as functions of one file, to prove that they compile.

use super::{Guide, Spoken, rust as in_rust, typescript as in_typescript};
use crate::{
    description::Side,
    names::{Taken, identifier},
};

const RUST_HEADER: &str = "// Examples of an API, compiled to prove that they are right. Made by rpc-docs.\n\
    #![allow(unused, deprecated, unreachable_code)]\n\n\
    use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};\n\n\
    use rpc_client::Streaming;\n";

/// Input: the path of the module with the traits. Output: a function for each example, with the expected variables as parameters.
pub(super) fn rust(guide: &Guide<'_>, api: &str) -> String {
    let mut file = format!(
        "{RUST_HEADER}use {api}::*;\n\ntype Done = Result<(), Box<dyn std::error::Error + Send + Sync>>;\n"
    );
    for service in &guide.description.services {
        if service.implemented_by == Side::Client {
            file.push_str(&format!("\n{}\n", in_rust::implement(service)));
        }
    }
    for (name, [awaited, pipelined]) in all(guide, in_rust::speak) {
        for (kind, spoken) in [("awaited", awaited), ("pipelined", pipelined)] {
            let parameters = parameters(&spoken);
            let body = indented(&spoken.text, "    ");
            file.push_str(&format!(
                "\nasync fn {name}_{kind}({parameters}) -> Done {{\n{body}    Ok(())\n}}\n"
            ));
        }
    }
    file
}

/// Output: a function for each example, with the expected variables as parameters.
pub(super) fn typescript(guide: &Guide<'_>) -> String {
    let mut file =
        String::from("// Examples of an API, compiled to prove that they are right. Made by rpc-docs.\n\n");
    let (services, types) = (guide.description.services.iter(), guide.description.types.iter());
    let clients = services.clone().filter_map(|service| guide.names.service(&service.name));
    let implementations = services
        .filter(|service| service.implemented_by != Side::Server)
        .filter_map(|service| guide.names.implementation(&service.name));
    let types = types.filter_map(|definition| guide.names.ty(&definition.name));
    let own = ["Argument", "Bytes", "Float", "Integer64", "Pending", "Stream"];
    let names: Vec<&str> = own.into_iter().chain(clients).chain(implementations).chain(types).collect();
    file.push_str(&format!("import type {{\n  {},\n}} from \"./api\";\n", names.join(",\n  ")));
    for (name, [awaited, pipelined]) in all(guide, in_typescript::speak) {
        for (kind, spoken) in [("awaited", awaited), ("pipelined", pipelined)] {
            let parameters = parameters(&spoken);
            let body = indented(&spoken.text, "  ");
            file.push_str(&format!("\nexport async function {name}_{kind}({parameters}) {{\n{body}}}\n"));
        }
    }
    file
}

type Speak<'a> = fn(&Guide<'a>, &super::plan::Plan<'a>) -> Spoken;

/// The examples of all methods, under unique names.
fn all<'a>(guide: &Guide<'a>, speak: Speak<'a>) -> Vec<(String, [Spoken; 2])> {
    let mut taken = Taken::none();
    let services = guide.description.services.iter();
    let methods = services.flat_map(|service| service.methods.iter().map(move |method| (service, method)));
    let examples = methods.filter(|(_, method)| method.problems.is_empty()).map(|(service, method)| {
        let name = identifier(&format!("{}_{}", super::parts::snake(&service.name), method.name));
        let plans = [guide.awaited(service, method), guide.pipelined(service, method)];
        (taken.name(&name), plans.map(|plan| speak(guide, &plan)))
    });
    examples.collect()
}

fn parameters(spoken: &Spoken) -> String {
    let given = spoken.given.iter().map(|given| (&given.name, &given.parameter));
    let all = spoken.roots.iter().map(|(name, ty)| (name, ty)).chain(given);
    all.map(|(name, ty)| format!("{name}: {ty}")).collect::<Vec<_>>().join(", ")
}

fn indented(text: &str, indent: &str) -> String {
    let line = |line: &str| if line.is_empty() { "\n".to_owned() } else { format!("{indent}{line}\n") };
    text.lines().map(line).collect()
}
