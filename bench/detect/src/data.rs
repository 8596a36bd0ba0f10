//! Reads the series from a folder that is given on the command line.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

mod npz;

/// One series of the Numenta Anomaly Benchmark.
pub(crate) struct Series {
    pub(crate) values: Vec<f32>,
    /// Anomalies: rows, both ends included.
    pub(crate) windows: Vec<(usize, usize)>,
}

/// One service of JumpStarter's second data set.
pub(crate) struct Service {
    /// A row per sample, a value per metric.
    pub(crate) train: Vec<Vec<f32>>,
    pub(crate) test: Vec<Vec<f32>>,
    /// Of each row of `test`.
    pub(crate) anomalous: Vec<bool>,
}

/// One beat: when it was due and when it came, seconds.
#[derive(Clone, Copy)]
pub(crate) struct Beat {
    pub(crate) due: f64,
    pub(crate) came: f64,
}

/// All series of `nab/`, by name.
pub(crate) fn nab(root: &Path) -> Result<Vec<Series>> {
    let root = root.join("nab");
    let labels = read_text(&root.join("labels/combined_windows.json"))?;
    let labels: BTreeMap<String, Vec<(String, String)>> = serde_json::from_str(&labels)?;
    let mut found = Vec::new();
    for folder in sorted(&root.join("data"))? {
        for file in sorted(&folder)? {
            let name = format!("{}/{}", last(&folder), last(&file));
            let text = read_text(&file)?;
            let rows: Vec<(&str, &str)> = text.lines().skip(1).filter_map(|line| line.split_once(',')).collect();
            let values = rows
                .iter()
                .map(|(_, value)| value.trim().parse().with_context(|| format!("{name}: value `{value}`")))
                .collect::<Result<Vec<f32>>>()?;
            // Times are written alike, so their order is that of their text; labels have six digits of a fraction more.
            let windows = labels
                .get(&name)
                .with_context(|| format!("{name} has no labels"))?
                .iter()
                .map(|(from, to)| {
                    let begin = rows.partition_point(|(at, _)| *at < &from[..19]);
                    let end = rows.partition_point(|(at, _)| *at <= &to[..19]);
                    (begin, end.saturating_sub(1))
                })
                .collect();
            found.push(Series { values, windows });
        }
    }
    ensure!(!found.is_empty(), "no series below {}", root.display());
    Ok(found)
}

/// All services of `jumpstarter/Dataset2.npz`.
pub(crate) fn jumpstarter(root: &Path) -> Result<Vec<Service>> {
    let arrays = npz::read(&root.join("jumpstarter/Dataset2.npz"))?;
    let table = |name: String| -> Result<Vec<Vec<f32>>> {
        let array = arrays.get(&name).with_context(|| format!("no array {name}"))?;
        let columns = *array.shape.get(1).context("a table has columns")?;
        Ok(array.values.chunks(columns).map(<[f32]>::to_vec).collect())
    };
    (0..)
        .take_while(|n| arrays.contains_key(&format!("service{n}_label")))
        .map(|n| {
            Ok(Service {
                train: table(format!("service{n}_train"))?,
                test: table(format!("service{n}_test"))?,
                anomalous: arrays[&format!("service{n}_label")]
                    .values
                    .iter()
                    .map(|label| *label > 0.5)
                    .collect(),
            })
        })
        .collect()
}

/// The beats of each agent in `hbtrace/`, in the order in which they came.
pub(crate) fn beats(root: &Path) -> Result<Vec<Vec<Beat>>> {
    let path = root.join("hbtrace/loop_nice0_100ms.bin");
    let bytes = fs::read(&path).with_context(|| path.display().to_string())?;
    let mut agents: BTreeMap<u32, Vec<Beat>> = BTreeMap::new();
    let mut origin = None;
    for record in bytes.chunks_exact(24) {
        let [agent, _sequence] = [0, 4].map(|at| u32::from_le_bytes([0, 1, 2, 3].map(|n| record[at + n])));
        let [due, came] = [8, 16].map(|at| u64::from_le_bytes([0, 1, 2, 3, 4, 5, 6, 7].map(|n| record[at + n])));
        let origin = *origin.get_or_insert(due);
        let seconds = |at: u64| at.saturating_sub(origin) as f64 / 1e9;
        agents.entry(agent).or_default().push(Beat {
            due: seconds(due),
            came: seconds(came),
        });
    }
    Ok(agents.into_values().collect())
}

/// The round-trip times of `netlatency/`: one series per pair of devices, seconds.
pub(crate) fn round_trips(root: &Path) -> Result<Vec<Vec<f32>>> {
    let arrays = npz::read(&root.join("netlatency/seattle_dev.npz"))?;
    let array = arrays.get("rtt_s").context("no array rtt_s")?;
    let pairs = array.shape.iter().skip(1).product::<usize>();
    ensure!(pairs > 0, "rtt_s holds no pairs");
    let column = |pair: usize| {
        array
            .values
            .iter()
            .skip(pair)
            .step_by(pairs)
            .copied()
            .collect::<Vec<_>>()
    };
    Ok((0..pairs)
        .map(column)
        .filter(|series| series.iter().all(|time| *time > 0.0))
        .collect())
}

fn read_text(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| path.display().to_string())
}

fn sorted(folder: &Path) -> Result<Vec<std::path::PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

fn last(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
