//! Writes the outputs that other programs check: `outputs <description.json, chat, hostile, big or workshop> <folder>`.
#![allow(clippy::print_stderr, reason = "it says what it wrote")]

use std::{collections::BTreeMap, env, error::Error, fs, path::Path, time::Instant};

use rpc_docs::{
    Api, Description, agents, asyncapi, description, examples, markdown, names, openrpc, typescript,
};

#[path = "../../src/fixtures.rs"]
mod fixtures;
#[allow(missing_docs, unreachable_pub, dead_code, reason = "an API to be described, not to be used")]
mod workshop;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [source, folder] = arguments.as_slice() else {
        return Err("usage: outputs <description.json, chat, hostile, big or workshop> <folder>".into());
    };
    let description = match source.as_str() {
        "chat" => fixtures::chat(),
        "hostile" => fixtures::hostile(),
        "big" => fixtures::big(),
        "workshop" => Api::new("Workshop", "1.0.0").service::<workshop::WorkshopClient>().describe(),
        file => Description::from_json(&fs::read_to_string(file)?)?,
    };
    let folder = Path::new(folder);
    if source == "workshop" {
        fs::create_dir_all(folder)?;
        fs::write(folder.join("values.json"), workshop::values().to_string())?;
    }
    for (name, render) in OUTPUTS {
        let start = Instant::now();
        let files = render(&description);
        let bytes: usize = files.values().map(String::len).sum();
        for (file, text) in files {
            let path = folder.join(file);
            fs::create_dir_all(path.parent().unwrap_or(folder))?;
            fs::write(path, text)?;
        }
        eprintln!("{name}: {bytes} bytes in {:.1} ms", start.elapsed().as_secs_f64() * 1000.0);
    }
    Ok(())
}

type Files = BTreeMap<String, String>;
type Output = (&'static str, fn(&Description) -> Files);

const OUTPUTS: &[Output] = &[
    ("openrpc", |description| one("openrpc.json", openrpc::render(description))),
    ("asyncapi", |description| one("asyncapi.json", asyncapi::render(description))),
    ("typescript", |description| one("api.ts", typescript::render(description))),
    ("markdown", |description| {
        let pages = markdown::render(description).into_iter();
        pages.map(|(path, text)| (format!("markdown/{path}"), text)).collect()
    }),
    ("llms.txt", |description| one("llms.txt", agents::llms_txt(description, "markdown/"))),
    ("skill", |description| one("SKILL.md", agents::skill(description))),
    ("examples", |description| {
        let names = names::Names::of(description);
        let guide = examples::Guide::new(description, &names);
        let (rust, typescript) = (guide.rust_file("crate::api"), guide.typescript_file());
        [("examples.rs".to_owned(), rust), ("examples.ts".to_owned(), typescript)].into_iter().collect()
    }),
];

fn one(name: &str, text: String) -> Files {
    [(name.to_owned(), text)].into_iter().collect()
}
