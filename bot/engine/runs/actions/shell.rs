//! `shell`: a program with its arguments, or a script that reads its values from the environment.
//!
//! No value is ever part of a text that a shell reads, so no value can become a command.

use futures::future::BoxFuture;
use secrecy::SecretString;
use serde_json::{Map, Value, json};

use super::{LIMIT, clean, happened, numbers, tail, text, texts, values};
use crate::engine::{
    ports::{KEY, Program, ProgramOutcome},
    runs::{Outcome, Ports, Work},
};

pub(super) fn act<'a>(ports: &'a Ports, work: &'a Work) -> BoxFuture<'a, Outcome> {
    Box::pin(async move {
        match program(ports, work) {
            Ok(program) => outcome(work, ports.programs.run(program).await, &ports.secrets.known()),
            Err(why) => Outcome::Refused(why),
        }
    })
}

fn program(ports: &Ports, work: &Work) -> Result<Program, String> {
    let argv = match text(&work.with, "script") {
        Some(script) => vec!["sh".to_owned(), "-eu".to_owned(), "-c".to_owned(), script.to_owned()],
        None => texts(&work.with, "argv"),
    };
    if argv.is_empty() {
        return Err("there is neither `argv` nor `script`".to_owned());
    }
    let mut environment = values(ports, &work.with, "env")?;
    environment.push((KEY.to_owned(), work.effect.as_str().into()));
    Ok(Program {
        argv,
        environment,
        directory: text(&work.with, "directory").map(str::to_owned),
        stdin: None,
        timeout: work.timeout,
        limit: LIMIT,
    })
}

fn outcome(work: &Work, ran: ProgramOutcome, secrets: &[SecretString]) -> Outcome {
    let tail = |text: &str| tail(&clean::text(text, secrets));
    let (code, stdout, stderr) = match ran {
        ProgramOutcome::Exited { code, stdout, stderr } => (code, stdout, stderr),
        ProgramOutcome::NotStarted(why) => return Outcome::Failed { why, may_have_changed: false },
        ProgramOutcome::Killed { why, stderr, .. } => return Outcome::Unknown(format!("{why}: {}", tail(&stderr))),
    };
    let expected = numbers(&work.with, "expect_exit").unwrap_or_else(|| vec![0]);
    if !expected.contains(&i64::from(code)) {
        let said = if stderr.trim().is_empty() { &stdout } else { &stderr };
        return Outcome::Failed { why: format!("exited with {code}: {}", tail(said)), may_have_changed: work.changes };
    }
    let stdout = stdout.trim_end_matches('\n');
    let parsed: Option<Value> = serde_json::from_str(stdout).ok();
    let mut otherwise = Map::new();
    otherwise.insert("exit".to_owned(), json!(code));
    otherwise.insert("stdout".to_owned(), json!(stdout));
    if let Some(parsed) = &parsed {
        otherwise.insert("json".to_owned(), parsed.clone());
    }
    let scope = work.scope.clone().with("exit", code).with("stdout", stdout).with("json", parsed.unwrap_or_default());
    happened(&work.with, &scope, work.changes, Value::Object(otherwise))
}
