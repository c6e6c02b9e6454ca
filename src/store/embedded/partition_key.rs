//! Partitions as one text column that sorts so that a level's partitions stand together.

use crate::store::Partition;

/// Ends each level; escaped where an id contains it.
const END: char = '\u{1f}';
/// What sorts right after [`END`].
const AFTER_END: char = '\u{20}';

/// The column's value for a partition, or the common beginning of all partitions below it.
pub(super) fn encode(partition: &Partition) -> String {
    let mut text = String::new();
    for level in partition.levels() {
        for character in level.chars() {
            match character {
                '%' => text.push_str("%25"),
                END => text.push_str("%1F"),
                other => text.push(other),
            }
        }
        text.push(END);
    }
    text
}

/// The range `[from, to)` of values that a partition and all below it have.
pub(super) fn range(partition: &Partition) -> (String, String) {
    let from = encode(partition);
    let to = match from.strip_suffix(END) {
        Some(stem) => format!("{stem}{AFTER_END}"),
        None => char::MAX.to_string(),
    };
    (from, to)
}

/// The partition that a column's value stands for.
pub(super) fn decode(text: &str) -> Partition {
    let levels = text.split_terminator(END);
    Partition::new(levels.map(|level| level.replace("%1F", "\u{1f}").replace("%25", "%")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_whatever_an_id_contains() {
        for levels in [vec!["a"], vec!["28:b", "t%1F", "\u{1f}x"], vec!["", "%25"]] {
            let partition = Partition::new(levels);
            assert_eq!(decode(&encode(&partition)), partition);
        }
    }

    #[test]
    fn a_level_does_not_reach_into_its_neighbour() {
        let (from, to) = range(&Partition::new(["a"]));
        let inside = |levels: &[&str]| {
            let text = encode(&Partition::new(levels.iter().copied()));
            from <= text && text < to
        };
        assert!(inside(&["a"]) && inside(&["a", "\u{10FFFF}"]));
        assert!(!inside(&["a!"]) && !inside(&["a b"]) && !inside(&["b"]) && !inside(&["A"]));
    }
}
