//! Reads `multipart/form-data`: the `payload_json` and the files of an upload.

use serde_json::Value;

/// One part of a form.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) filename: Option<String>,
    pub(crate) content_type: Option<String>,
    pub(crate) bytes: Vec<u8>,
}

/// The JSON and the files of a request body; `None` when it is neither JSON nor a form.
pub(crate) fn read(content_type: &str, bytes: &[u8]) -> Option<(Option<Value>, Vec<Part>)> {
    if !content_type.starts_with("multipart/form-data") {
        if bytes.is_empty() {
            return Some((None, Vec::new()));
        }
        return Some((Some(serde_json::from_slice(bytes).ok()?), Vec::new()));
    }
    let boundary = content_type.split("boundary=").nth(1)?.trim_matches('"');
    let mut json = None;
    let mut files = Vec::new();
    for part in parts(bytes, boundary.as_bytes())? {
        if part.name == "payload_json" {
            json = Some(serde_json::from_slice(&part.bytes).ok()?);
        } else if part.filename.is_some() {
            files.push(part);
        }
    }
    Some((json, files))
}

fn parts(body: &[u8], boundary: &[u8]) -> Option<Vec<Part>> {
    let open = [b"--", boundary].concat();
    let between = [b"\r\n--", boundary].concat();
    let mut rest = body.strip_prefix(open.as_slice())?;
    let mut found = Vec::new();
    while let Some(inner) = rest.strip_prefix(b"\r\n") {
        let end = position(inner, &between)?;
        found.push(part(&inner[..end])?);
        rest = &inner[end + between.len()..];
    }
    rest.starts_with(b"--").then_some(found)
}

fn part(bytes: &[u8]) -> Option<Part> {
    let split = position(bytes, b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..split]).ok()?;
    let header = |wanted: &str| {
        head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case(wanted).then(|| value.trim().to_owned())
        })
    };
    let disposition = header("content-disposition")?;
    let parameter = |wanted: &str| {
        disposition.split(';').find_map(|pair| {
            let (name, value) = pair.trim().split_once('=')?;
            (name == wanted).then(|| value.trim_matches('"').to_owned())
        })
    };
    Some(Part {
        name: parameter("name")?,
        filename: parameter("filename"),
        content_type: header("content-type"),
        bytes: bytes[split + 4..].to_vec(),
    })
}

fn position(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}
