//! The commands in the README and in docs/ are run as they stand: every block marked "sh run" in a shell
//! where `atoll` is this binary and reaches a fresh development cluster. A "text" block right behind it is
//! its output, in which a `…` stands for anything within a line, and a line of nothing else for any lines.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use atoll_client::admin;
use atoll_env::Env;

use crate::support::{BINARY, eventually, free_ports_in_a_row, text};

/// Before every block: a command that fails ends it, and `cargo run --release --` is this binary.
const PREAMBLE: &str = r#"set -euo pipefail
cargo() {
    [ "$1 $2 $3" = "run --release --" ] || { echo "not run here: cargo $*" >&2; return 1; }
    shift 3
    atoll "$@"
}
"#;

/// A block that is run, and what it is said to print.
#[derive(Debug, PartialEq)]
struct Example {
    line: usize,
    script: String,
    output: Option<String>,
}

/// Fenced blocks: the line they begin at, the words behind the fence, the text inside.
fn blocks(page: &str) -> Vec<(usize, String, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(usize, String, String)> = None;
    for (number, line) in page.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(words)) => open = Some((number + 1, words.trim().to_owned(), String::new())),
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some((_, _, inside)), None) => inside.extend([line, "\n"]),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block has no end: {open:?}");
    blocks
}

fn examples(page: &str) -> Vec<Example> {
    let (all, lines) = (blocks(page), page.lines().collect::<Vec<_>>());
    let mut examples = Vec::new();
    for (position, (line, words, script)) in all.iter().enumerate() {
        if words != "sh run" {
            continue;
        }
        let end = line + script.lines().count() + 1;
        // The next block belongs to this one if only an empty line lies between.
        let behind = all.get(position + 1);
        let empty = lines.get(end).is_some_and(|line| line.is_empty());
        let output = behind.filter(|(next, words, _)| words == "text" && *next == end + 2 && empty);
        examples.push(Example {
            line: *line,
            script: script.clone(),
            output: output.map(|(_, _, inside)| inside.clone()),
        });
    }
    examples
}

/// True if the text is the pattern, with anything in the place of each `…`.
fn line_fits(pattern: &str, line: &str) -> bool {
    let mut parts = pattern.split('…');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = line.strip_prefix(first) else {
        return false;
    };
    let mut last = None;
    for part in parts {
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
        last = Some(part);
    }
    match last {
        // The last part has to stand at the end; `find` took its first place.
        Some(part) => rest.is_empty() || line.ends_with(part),
        None => rest.is_empty(),
    }
}

fn lines_fit(pattern: &[&str], lines: &[&str]) -> bool {
    match pattern.split_first() {
        None => lines.is_empty(),
        Some((&"…", others)) => (0..=lines.len()).any(|skipped| lines_fit(others, &lines[skipped..])),
        Some((first, others)) => lines
            .split_first()
            .is_some_and(|(line, rest)| line_fits(first, line.trim_end()) && lines_fit(others, rest)),
    }
}

fn fits(pattern: &str, output: &str) -> bool {
    let pattern: Vec<_> = pattern.lines().collect();
    let output: Vec<_> = output.lines().collect();
    lines_fit(&pattern, &output)
}

/// `atoll dev` with its nodes, which end with it.
struct Dev {
    child: Child,
    addresses: Vec<String>,
    folder: tempfile::TempDir,
}

impl Dev {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let bin = folder.path().join("bin");
        std::fs::create_dir(&bin).unwrap();
        std::os::unix::fs::symlink(BINARY, bin.join("atoll")).unwrap();
        let base = free_ports_in_a_row(3);
        let child = Command::new(BINARY)
            .args(["dev", "--ephemeral", "--base-port", &base.to_string()])
            // Its nodes end when it does, even if it is killed: they hold its end of a pipe.
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let addresses: Vec<_> = (base..base + 3).map(|port| format!("127.0.0.1:{port}")).collect();
        let dev = Self {
            child,
            addresses,
            folder,
        };
        let env = Env::real();
        for address in &dev.addresses {
            eventually("the development cluster serves", async || {
                let status = admin::status(&env, address).await;
                status.is_ok_and(|status| status.state == "serving")
            })
            .await;
        }
        dev
    }

    /// Runs a block in the cluster's folder.
    async fn run(&self, example: &Example, page: &Path) {
        let path = std::env::var("PATH").unwrap();
        let bin = self.folder.path().join("bin");
        let mut command = tokio::process::Command::new("bash");
        command
            .arg("-c")
            .arg(format!("{PREAMBLE}{}", example.script))
            .current_dir(self.folder.path())
            .env("PATH", format!("{}:{path}", bin.display()))
            .env("ATOLL_ENDPOINTS", self.addresses.join(","))
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let ended = tokio::time::timeout(Duration::from_secs(120), command.output());
        let output = ended.await.expect("an example ends").unwrap();
        let place = format!("{}:{}", page.display(), example.line);
        let (said, complained) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{place} fails:\n{said}{complained}");
        if let Some(expected) = &example.output {
            assert!(
                fits(expected, &said),
                "{place} prints\n{said}\nand not\n{expected}"
            );
        }
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let pid = self.child.id().to_string();
        // In order, so that it stops its nodes and removes their folder.
        drop(Command::new("kill").args(["-INT", &pid]).status());
        drop(self.child.wait());
    }
}

fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut pages: Vec<_> = std::fs::read_dir(root.join("docs"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == "md"))
        .collect();
    pages.sort();
    pages.insert(0, root.join("README.md"));
    pages
}

#[tokio::test]
async fn the_examples_of_the_documents_do_what_they_say() {
    let dev = Dev::start().await;
    let mut run = 0;
    for page in pages() {
        for example in examples(&std::fs::read_to_string(&page).unwrap()) {
            dev.run(&example, &page).await;
            run += 1;
        }
    }
    assert!(run >= 4, "only {run} examples were found");
}

#[test]
fn marked_blocks_are_found_with_their_output() {
    let page = "a\n```sh\nleft\n```\n```sh run\none\ntwo\n```\n\n```text\nout\n```\n```sh run\nthree\n```\nprose\n```text\nno\n```\n";
    let example = |line, script: &str, output: Option<&str>| Example {
        line,
        script: script.to_owned(),
        output: output.map(str::to_owned),
    };
    assert_eq!(
        examples(page),
        [
            example(5, "one\ntwo\n", Some("out\n")),
            example(13, "three\n", None)
        ]
    );
}

#[test]
fn an_output_fits_only_what_it_says() {
    for (pattern, output, fitting) in [
        ("a\n", "a\n", true),
        ("a\n", "a\nb\n", false),
        ("a\n…\n", "a\nb\nc\n", true),
        ("…\nc\n", "a\nb\nc\n", true),
        ("…\nd\n", "a\nb\nc\n", false),
        ("version …\n", "version 17\n", true),
        ("version …\n", "versions\n", false),
        ("…serving…\n", "1 serving 2\n", true),
        ("a…b…c\n", "a--b--c\n", true),
        ("a…b…c\n", "a--b--c--\n", false),
        ("a…bb\n", "a--bb-bb\n", true),
        ("", "a\n", false),
    ] {
        assert_eq!(fits(pattern, output), fitting, "{pattern:?} against {output:?}");
    }
}
