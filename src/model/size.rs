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
    fn lengths_are_short() {
        let cases = [(12_000, "12ms"), (4_250_000, "4.2s"), (63_000_000, "1m 03s"), (3_720_000_000, "1h 02m")];
        for (micros, text) in cases {
            assert_eq!(length(Micros(micros)), text);
        }
    }
}
