//! Numbers of bytes and lengths of time, in words.

use super::Micros;

/// A number of bytes: `812 B`, `1.4 MiB`.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    // Tenths of the unit, so that no float is needed.
    let (mut tenths, mut unit) = (u128::from(count) * 10 / 1024, 0);
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// A number of bytes as people write it: `4096`, `10k`, `500M`, `2 GiB`. A unit is a power of 1024.
pub fn parse(text: &str) -> Option<u64> {
    let text = text.trim();
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let shift = match unit.trim_start() {
        "" | "B" => 0,
        "k" | "K" | "KiB" => 10,
        "M" | "MiB" => 20,
        "G" | "GiB" => 30,
        "T" | "TiB" => 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}

/// A length of time: `1m 03s`, `4.2s`, `12ms`.
pub fn length(length: Micros) -> String {
    let (millis, seconds) = (length.0 / 1000, length.0 / 1_000_000);
    match seconds {
        0 => format!("{millis}ms"),
        1..60 => format!("{}.{}s", seconds, millis % 1000 / 100),
        60..3600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        3600..86400 => format!("{}h {:02}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d {:02}h", seconds / 86400, seconds / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_read_well() {
        assert_eq!(bytes(812), "812 B");
        assert_eq!(bytes(1_468_006), "1.3 MiB");
        assert_eq!(bytes(3 << 30), "3.0 GiB");
        assert_eq!(bytes(u64::MAX), "16383.9 PiB");
    }

    #[test]
    fn sizes_have_units() {
        for (text, size) in [("0", 0), ("2G", 2 << 30), ("500M", 500 << 20), ("10k", 10 << 10), (" 3 MiB ", 3 << 20)] {
            assert_eq!(parse(text), Some(size), "{text}");
        }
        for wrong in ["", "G", "-1", "99999999999G", "1.5M", "2MB", "10 kilos"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn lengths_are_short() {
        let cases = [(12_000, "12ms"), (4_250_000, "4.2s"), (63_000_000, "1m 03s"), (3_720_000_000, "1h 02m")];
        for (micros, text) in cases {
            assert_eq!(length(Micros(micros)), text);
        }
    }
}
