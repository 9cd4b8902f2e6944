//! The pages of `docs/` say what the code says, and every example in them passes the check.
//!
//! With `FIREWARDEN_BLESS=1` the parts between the markers are written anew.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use firewarden::{
    app::config::{Config, Look},
    domain::{
        runbooks::{self, actions, reference},
        runs::{guard_reference as guards, rehearsals},
    },
};

use super::source::{files, root};

/// What stands before and after the part of a page that is written from the code.
const BEGIN: &str = "<!-- written from the code by `FIREWARDEN_BLESS=1 cargo test --test main documentation` -->\n";
const END: &str = "<!-- end of what is written from the code -->\n";

/// Every page with a part that is written from the code: its path, and that part.
fn pages() -> Vec<(String, String)> {
    let actions = actions::ALL.iter().map(|spec| (format!("docs/actions/{}.md", spec.name), reference::action(spec)));
    let guards = guards::ALL.iter().map(|spec| (format!("docs/guards/{}.md", spec.name), guards::guard(spec)));
    let lists = [
        ("docs/actions/README.md", reference::index()),
        ("docs/guards/README.md", guards::index()),
        ("docs/language.md", reference::language()),
    ];
    actions.chain(guards).chain(lists.map(|(path, text)| (path.to_owned(), text))).collect()
}

fn page(path: &str) -> String {
    fs::read_to_string(root().join(path))
        .unwrap_or_else(|why| panic!("{path}: {why}; every action and guard has a page"))
}

/// What a page shows a person: the language of each block, the line on which it begins, and its text.
fn blocks(text: &str) -> Vec<(&str, usize, String)> {
    let mut blocks: Vec<(&str, usize, String)> = Vec::new();
    let mut is_inside = false;
    for (index, line) in text.lines().enumerate() {
        match line.trim_start().strip_prefix("```") {
            Some(language) => {
                is_inside = !is_inside;
                if is_inside {
                    blocks.push((language, index + 1, String::new()));
                }
            }
            None if is_inside => {
                if let Some((_, _, text)) = blocks.last_mut() {
                    text.push_str(&format!("{line}\n"));
                }
            }
            None => {}
        }
    }
    blocks
}

/// A page that is older than the program misleads whoever needs it at night.
#[test]
fn pages_say_what_the_code_says() {
    let blesses = std::env::var_os("FIREWARDEN_BLESS").is_some();
    for (path, wanted) in pages() {
        let text = page(&path);
        let parts = text.split_once(BEGIN).and_then(|(head, rest)| Some((head, rest.split_once(END)?)));
        let Some((head, (found, tail))) = parts else { panic!("{path} has not both of these lines:\n{BEGIN}{END}") };
        let wanted = format!("\n{wanted}\n");
        if blesses && found != wanted {
            fs::write(root().join(&path), format!("{head}{BEGIN}{wanted}{END}{tail}")).unwrap();
        } else {
            assert_eq!(found, wanted, "{path} is not what the code says: {BEGIN}");
        }
    }
}

/// What was taken out of the program is not looked for in vain.
#[test]
fn every_page_is_of_something() {
    let known: BTreeSet<String> = pages().into_iter().map(|(path, _)| path).collect();
    for folder in ["docs/actions", "docs/guards"] {
        for file in files(&root().join(folder), "md") {
            let path = file.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
            assert!(known.contains(&path), "{path} is about nothing that there is");
        }
    }
}

/// Whoever looks an action up wants to see one, and to know what may go wrong.
#[test]
fn every_action_is_shown_at_work_and_says_how_it_fails() {
    for spec in actions::ALL {
        let path = format!("docs/actions/{}.md", spec.name);
        let text = page(&path);
        let shown = format!("action: {}", spec.name);
        let names = |block: &(&str, usize, String)| {
            block.2.split(|letter: char| "\n,}".contains(letter)).any(|part| part.trim_end().ends_with(&shown))
        };
        assert!(blocks(&text).iter().any(names), "{path} has no example with `{shown}`");
        assert!(text.contains("\n## When it fails\n"), "{path} does not say how it fails");
    }
}

/// The whole runbook that an example is a part of.
fn whole(part: &str) -> String {
    let has = |key: &str| part.lines().any(|line| line.starts_with(&format!("{key}:")));
    let usual = [
        ("name", "name: example\n"),
        ("mode", "mode: auto\n"),
        ("trigger", "trigger: { chat: {} }\n"),
        ("inputs", "inputs: { service: { type: service, const: checkout } }\n"),
        ("target", "target: { service: checkout, environment: production }\n"),
        ("steps", "steps: [{ name: tell, action: announce, with: { text: an example } }]\n"),
    ];
    let steps = if part.trim_start().starts_with("- ") { "steps:\n" } else { "" };
    let is_missing = |key: &str| !has(key) && (key != "steps" || steps.is_empty());
    let before: String = usual.iter().filter(|(key, _)| is_missing(key)).map(|(_, line)| *line).collect();
    format!("{before}{steps}{part}")
}

/// The configuration that an example is a part of: that which is shipped, with it.
fn problems_of_configuration(part: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("firewarden.toml");
    let shipped = fs::read_to_string(root().join("firewarden.example.toml")).unwrap();
    fs::write(&path, format!("{shipped}\n{part}")).unwrap();
    let problems =
        Config::examine(&path, Look::WithoutSecrets).map_or_else(|problems| problems, |(_, problems)| problems);
    problems.iter().map(ToString::to_string).collect()
}

/// Tests in an example are those of the runbook that is shipped to roll a service back.
fn problems_of_tests(part: &str) -> Vec<String> {
    let file = root().join("runbooks/rollback-service.yaml");
    let plan = runbooks::read(&file, &fs::read(&file).unwrap()).unwrap();
    let read = rehearsals::read(Path::new("example.test.yaml"), part.as_bytes(), &plan, &BTreeMap::new());
    read.err().unwrap_or_default().iter().map(ToString::to_string).collect()
}

/// An example that the check refuses is the first thing that somebody copies.
#[test]
fn every_example_passes_the_check() {
    let mut seen = 0;
    // The tutorial shows mistakes, too; a story types all of it.
    let is_checked = |file: &PathBuf| !file.ends_with("docs/tutorial.md");
    for file in files(&root().join("docs"), "md").into_iter().filter(is_checked) {
        let text = fs::read_to_string(&file).unwrap();
        for (language, line, part) in blocks(&text) {
            let problems: Vec<String> = match language {
                "yaml" if part.lines().any(|line| line == "tests:") => problems_of_tests(&part),
                "yaml" => {
                    let read = runbooks::read(Path::new("example.yaml"), whole(&part).as_bytes());
                    read.err().unwrap_or_default().iter().map(ToString::to_string).collect()
                }
                "toml" => problems_of_configuration(&part),
                _ => continue,
            };
            assert!(problems.is_empty(), "{}:{line}:\n{}\n{}", file.display(), problems.join("\n"), whole(&part));
            seen += 1;
        }
    }
    assert!(seen > actions::ALL.len(), "{seen} examples");
}

/// A link that leads nowhere is followed by whoever knows least.
#[test]
fn links_lead_somewhere() {
    let pages = files(&root().join("docs"), "md").into_iter().chain([root().join("README.md")]);
    for file in pages {
        let text = fs::read_to_string(&file).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link) {
            let (path, place) = link.split_once('#').unwrap_or((link, ""));
            if path.contains("://") {
                continue;
            }
            let target = if path.is_empty() { file.clone() } else { file.parent().unwrap().join(path) };
            let found = fs::read_to_string(&target);
            let Ok(found) = found else { panic!("{} links to {link}, which is not there", file.display()) };
            let anchors = found.lines().filter_map(|line| line.strip_prefix('#')).map(|title| {
                let kept = |letter: &char| letter.is_alphanumeric() || " -_".contains(*letter);
                let title = title.trim_start_matches('#').trim().to_lowercase();
                title.chars().filter(kept).collect::<String>().replace(' ', "-")
            });
            let is_there = place.is_empty() || anchors.into_iter().any(|anchor| anchor == place);
            assert!(is_there, "{} links to {link}, and there is no such heading", file.display());
        }
    }
}
