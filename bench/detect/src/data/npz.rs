//! Archives of arrays as numpy writes them: zip around npy.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

/// One array, row by row.
pub(super) struct Array {
    pub(super) shape: Vec<usize>,
    pub(super) values: Vec<f32>,
}

/// All arrays of an archive, by name.
pub(super) fn read(path: &Path) -> Result<BTreeMap<String, Array>> {
    let bytes = fs::read(path).with_context(|| path.display().to_string())?;
    entries(&bytes)
        .and_then(|entries| {
            entries
                .into_iter()
                .map(|(name, content)| Ok((name.trim_end_matches(".npy").to_owned(), array(&content)?)))
                .collect()
        })
        .with_context(|| format!("{} is no archive of arrays", path.display()))
}

/// Files of a zip archive, found by the directory at its end.
fn entries(bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>> {
    let end = bytes
        .windows(4)
        .rposition(|mark| mark == b"PK\x05\x06")
        .context("no directory at its end")?;
    let mut at = long(bytes, end + 16)?;
    let mut found = Vec::new();
    for _ in 0..short(bytes, end + 10)? {
        let (method, packed) = (short(bytes, at + 10)?, long(bytes, at + 20)?);
        let [name, extra, comment] = [28, 30, 32].map(|offset| short(bytes, at + offset));
        let (name, extra, comment) = (name?, extra?, comment?);
        let header = long(bytes, at + 42)?;
        let begin = header + 30 + short(bytes, header + 26)? + short(bytes, header + 28)?;
        let content = bytes.get(begin..begin + packed).context("a file is cut off")?;
        let content = match method {
            0 => content.to_vec(),
            8 => miniz_oxide::inflate::decompress_to_vec(content).map_err(|error| anyhow::anyhow!("{error}"))?,
            other => bail!("packed by method {other}"),
        };
        let name = bytes.get(at + 46..at + 46 + name).context("a name is cut off")?;
        found.push((String::from_utf8_lossy(name).into_owned(), content));
        at += 46 + name.len() + extra + comment;
    }
    Ok(found)
}

/// One array: a header that is a Python literal, then the numbers.
fn array(bytes: &[u8]) -> Result<Array> {
    let length = short(bytes, 8)?;
    let header = std::str::from_utf8(bytes.get(10..10 + length).context("no header")?)?;
    let shape = header
        .split_once("'shape': (")
        .and_then(|(_, rest)| rest.split_once(')'))
        .context("no shape")?
        .0
        .split(',')
        .filter_map(|size| size.trim().parse().ok())
        .collect();
    let body = bytes.get(10 + length..).context("no numbers")?;
    let values = if header.contains("'<f4'") {
        let number = |four: &[u8]| f32::from_le_bytes([four[0], four[1], four[2], four[3]]);
        body.chunks_exact(4).map(number).collect()
    } else if header.contains("'|u1'") {
        body.iter().map(|one| f32::from(*one)).collect()
    } else {
        bail!("numbers of another kind: {header}");
    };
    Ok(Array { shape, values })
}

fn short(bytes: &[u8], at: usize) -> Result<usize> {
    let two = bytes.get(at..at + 2).context("cut off")?;
    Ok(usize::from(u16::from_le_bytes([two[0], two[1]])))
}

fn long(bytes: &[u8], at: usize) -> Result<usize> {
    let four = bytes.get(at..at + 4).context("cut off")?;
    Ok(usize::try_from(u32::from_le_bytes([
        four[0], four[1], four[2], four[3],
    ]))?)
}
