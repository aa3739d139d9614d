//! A row per second, as CSV.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use crate::Result;

const HEADING: &str =
    "seconds,allocated_bytes,apparent_bytes,resident_bytes,rows_per_second,put_p50_us,put_p99_us,put_max_us";

/// What a second was like. Latencies are those of durable batches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sample {
    /// Since the overwriting began.
    pub(super) seconds: f64,
    /// Of the directory.
    pub(super) allocated: u64,
    pub(super) apparent: u64,
    /// Memory of the process.
    pub(super) resident: u64,
    /// Since the sample before.
    pub(super) rows_per_second: f64,
    pub(super) put_p50_us: f64,
    pub(super) put_p99_us: f64,
    pub(super) put_max_us: f64,
}

impl Sample {
    fn line(&self) -> String {
        format!(
            "{:.3},{},{},{},{:.0},{:.1},{:.1},{:.1}\n",
            self.seconds,
            self.allocated,
            self.apparent,
            self.resident,
            self.rows_per_second,
            self.put_p50_us,
            self.put_p99_us,
            self.put_max_us,
        )
    }

    fn parse(line: &str) -> Option<Self> {
        let mut columns = line.split(',');
        let mut next = || columns.next();
        Some(Self {
            seconds: next()?.parse().ok()?,
            allocated: next()?.parse().ok()?,
            apparent: next()?.parse().ok()?,
            resident: next()?.parse().ok()?,
            rows_per_second: next()?.parse().ok()?,
            put_p50_us: next()?.parse().ok()?,
            put_p99_us: next()?.parse().ok()?,
            put_max_us: next()?.parse().ok()?,
        })
    }
}

/// A CSV that grows. What was added is in the file at once, so that a run that is cut short has it.
pub(super) struct SampleFile(File);

impl SampleFile {
    /// Replaces a file of that name.
    #[expect(clippy::disallowed_methods, reason = "a report for people, written once")]
    pub(super) fn create(path: &Path) -> Result<Self> {
        let mut file = File::create(path).map_err(|error| format!("{}: {error}", path.display()))?;
        writeln!(file, "{HEADING}")?;
        Ok(Self(file))
    }

    pub(super) fn add(&mut self, sample: &Sample) -> Result<()> {
        Ok(self.0.write_all(sample.line().as_bytes())?)
    }
}

/// All of a CSV.
#[derive(Debug, PartialEq)]
pub(super) struct Samples(Vec<Sample>);

impl Samples {
    /// Reads what [`SampleFile`] wrote.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path)?;
        Self::parse(&text).ok_or_else(|| format!("{}: not what a soak writes", path.display()).into())
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let heading = lines.next()?;
        let samples = lines.map(Sample::parse).collect::<Option<Vec<_>>>()?;
        (heading == HEADING).then_some(Self(samples))
    }

    /// Seconds, and bytes that the directory had allocated.
    pub(super) fn allocated_by_second(&self) -> Vec<(f64, f64)> {
        let points = self
            .0
            .iter()
            .map(|sample| (sample.seconds, sample.allocated as f64));
        points.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let samples = [1_u64, 2, 3].map(|number| Sample {
            seconds: number as f64 + 0.5,
            allocated: number << 40,
            apparent: number << 41,
            resident: number << 30,
            rows_per_second: 20_000.0,
            put_p50_us: 100.5,
            put_p99_us: 250.0,
            put_max_us: 64_000.0,
        });
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("soak.csv");
        let mut file = SampleFile::create(&path).unwrap();
        for sample in &samples {
            file.add(sample).unwrap();
        }
        let read = Samples::read(&path).unwrap();
        assert_eq!(read, Samples(samples.to_vec()));
        assert_eq!(read.allocated_by_second()[2], (3.5, (3_u64 << 40) as f64));
    }

    #[test]
    fn other_files_are_refused() {
        assert_eq!(Samples::parse(""), None);
        assert_eq!(Samples::parse("seconds\n1\n"), None);
        assert_eq!(Samples::parse(&format!("{HEADING}\n1,2,3\n")), None);
        assert_eq!(Samples::parse(HEADING), Some(Samples(Vec::new())));
    }
}
