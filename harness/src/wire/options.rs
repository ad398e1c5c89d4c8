//! The option list of a TCP header (RFC 9293 section 3.1 and 3.2).

use tcp_reference::segment::TcpOption;
use tcp_reference::seq::Seq;
use tcp_reference::trace::WireDefect;

use super::WireError;

/// The most octets that options can take: a data offset of 15 words less the fixed header.
pub(super) const MAX_OPTION_OCTETS: usize = 40;

const EOL: u8 = 0;
const NOP: u8 = 1;
const MSS: u8 = 2;
const WINDOW_SCALE: u8 = 3;
const SACK_PERMITTED: u8 = 4;
const SACK: u8 = 5;
const TIMESTAMPS: u8 = 8;

/// Parses the octets between the fixed header and the text.
///
/// A run of zero octets at the end is one [`TcpOption::Eol`]. An option whose length is below 2 or passes the end of the header takes
/// everything that is left as [`TcpOption::IllFormed`]. A known kind with a length that is not its own is [`TcpOption::Other`], so that
/// what follows it can still be read. Defects are appended to `defects`, each at most once.
#[must_use]
pub fn parse_options(octets: &[u8], defects: &mut Vec<WireDefect>) -> Vec<TcpOption> {
    let mut options = Vec::new();
    let mut rest = octets;
    while let Some((&kind, after_kind)) = rest.split_first() {
        match kind {
            EOL => {
                options.push(TcpOption::Eol);
                if after_kind.iter().any(|&o| o != 0) {
                    note(defects, WireDefect::OptionPadding);
                }
                break;
            }
            NOP => {
                options.push(TcpOption::Nop);
                rest = after_kind;
            }
            _ => {
                let length = after_kind.first().map_or(0, |&l| usize::from(l));
                let Some(data) = rest.get(2..length) else {
                    options.push(TcpOption::IllFormed(rest.to_vec()));
                    note(defects, WireDefect::OptionLength);
                    break;
                };
                let option = parse_one(kind, data);
                if matches!(option, TcpOption::Other { kind: MSS | WINDOW_SCALE | SACK_PERMITTED | SACK | TIMESTAMPS, .. }) {
                    note(defects, WireDefect::OptionLength);
                }
                options.push(option);
                rest = &rest[length..];
            }
        }
    }
    options
}

/// Appends the options in the given order, padded with zero octets (end of option list) to a multiple of four.
///
/// # Errors
/// [`WireError::OptionsTooLong`] when they take more than 40 octets; `out` is then as it was before.
pub fn encode_options(options: &[TcpOption], out: &mut Vec<u8>) -> Result<(), WireError> {
    let start = out.len();
    for option in options {
        match option {
            TcpOption::Eol => out.push(EOL),
            TcpOption::Nop => out.push(NOP),
            TcpOption::Mss(n) => {
                out.extend_from_slice(&[MSS, 4]);
                out.extend_from_slice(&n.to_be_bytes());
            }
            TcpOption::WindowScale(shift) => out.extend_from_slice(&[WINDOW_SCALE, 3, *shift]),
            TcpOption::SackPermitted => out.extend_from_slice(&[SACK_PERMITTED, 2]),
            TcpOption::Sack(blocks) => {
                let length = u8::try_from(2 + 8 * blocks.len()).map_err(|_| too_long(out, start))?;
                out.extend_from_slice(&[SACK, length]);
                for (left, right) in blocks {
                    out.extend_from_slice(&left.0.to_be_bytes());
                    out.extend_from_slice(&right.0.to_be_bytes());
                }
            }
            TcpOption::Timestamps { val, ecr } => {
                out.extend_from_slice(&[TIMESTAMPS, 10]);
                out.extend_from_slice(&val.to_be_bytes());
                out.extend_from_slice(&ecr.to_be_bytes());
            }
            TcpOption::Other { kind, data } => {
                let length = u8::try_from(2 + data.len()).map_err(|_| too_long(out, start))?;
                out.extend_from_slice(&[*kind, length]);
                out.extend_from_slice(data);
            }
            TcpOption::IllFormed(octets) => out.extend_from_slice(octets),
        }
    }
    if out.len() - start > MAX_OPTION_OCTETS {
        return Err(too_long(out, start));
    }
    while !(out.len() - start).is_multiple_of(4) {
        out.push(EOL);
    }
    Ok(())
}

fn too_long(out: &mut Vec<u8>, start: usize) -> WireError {
    out.truncate(start);
    WireError::OptionsTooLong
}

fn parse_one(kind: u8, data: &[u8]) -> TcpOption {
    match (kind, data) {
        (MSS, &[a, b]) => TcpOption::Mss(u16::from_be_bytes([a, b])),
        (WINDOW_SCALE, &[shift]) => TcpOption::WindowScale(shift),
        (SACK_PERMITTED, &[]) => TcpOption::SackPermitted,
        (SACK, blocks) if !blocks.is_empty() && blocks.len().is_multiple_of(8) => {
            TcpOption::Sack(blocks.chunks_exact(8).map(|b| (seq_at(b, 0), seq_at(b, 4))).collect())
        }
        (TIMESTAMPS, both) if both.len() == 8 => TcpOption::Timestamps { val: seq_at(both, 0).0, ecr: seq_at(both, 4).0 },
        _ => TcpOption::Other { kind, data: data.to_vec() },
    }
}

fn seq_at(octets: &[u8], at: usize) -> Seq {
    let word = octets.get(at..at + 4).and_then(|w| w.try_into().ok()).unwrap_or([0; 4]);
    Seq(u32::from_be_bytes(word))
}

fn note(defects: &mut Vec<WireDefect>, defect: WireDefect) {
    if !defects.contains(&defect) {
        defects.push(defect);
    }
}
