//! Options in the pool: how many, then each with a tag. Not as on the wire, since the wire cannot tell an ill-formed option from its octets.

use tcp_reference::segment::TcpOption;
use tcp_reference::seq::Seq;

use super::pool::{Reader, Writer};

/// Octets of options that a header has room for.
const ROOM: usize = 40;

pub(super) fn decode(pool: &mut Reader<'_>) -> Vec<TcpOption> {
    let count = usize::from(pool.byte()) % (ROOM + 1);
    let mut options = Vec::new();
    let mut room = ROOM;
    for _ in 0..count {
        let option = one(pool);
        match room.checked_sub(option.octets()) {
            Some(left) => room = left,
            None => break,
        }
        options.push(option);
    }
    options
}

fn one(pool: &mut Reader<'_>) -> TcpOption {
    match pool.byte() % 9 {
        0 => TcpOption::Nop,
        1 => TcpOption::Mss(u16::from_le_bytes(pool.array())),
        2 => TcpOption::WindowScale(pool.byte()),
        3 => TcpOption::SackPermitted,
        4 => {
            let count = pool.byte() % 5;
            let mut edge = || Seq(u32::from_le_bytes(pool.array()));
            TcpOption::Sack((0..count).map(|_| (edge(), edge())).collect())
        }
        5 => {
            let (val, ecr) = (u32::from_le_bytes(pool.array()), u32::from_le_bytes(pool.array()));
            TcpOption::Timestamps { val, ecr }
        }
        6 => {
            // Kinds 0 and 1 have no length octet; experiments take their place.
            let kind = match pool.byte() {
                kind @ 0..=1 => 253 + kind,
                kind => kind,
            };
            let len = usize::from(pool.byte()) % (ROOM - 1);
            TcpOption::Other { kind, data: pool.octets(len) }
        }
        7 => {
            let len = 1 + usize::from(pool.byte()) % ROOM;
            TcpOption::IllFormed(pool.octets(len))
        }
        _ => TcpOption::Eol,
    }
}

pub(super) fn encode(options: &[TcpOption], pool: &mut Writer) {
    let mut room = ROOM;
    let fits = |o: &&TcpOption| match room.checked_sub(o.octets()) {
        Some(left) => {
            room = left;
            true
        }
        None => false,
    };
    let options: Vec<&TcpOption> = options.iter().take_while(fits).collect();
    pool.write(&[u8::try_from(options.len()).unwrap_or(0)]);
    let small = |n: usize| u8::try_from(n).unwrap_or(0);
    for option in options {
        match option {
            TcpOption::Nop => pool.write(&[0]),
            TcpOption::Mss(mss) => {
                pool.write(&[1]);
                pool.write(&mss.to_le_bytes());
            }
            TcpOption::WindowScale(shift) => pool.write(&[2, *shift]),
            TcpOption::SackPermitted => pool.write(&[3]),
            TcpOption::Sack(blocks) => {
                pool.write(&[4, small(blocks.len())]);
                for (left, right) in blocks {
                    pool.write(&left.0.to_le_bytes());
                    pool.write(&right.0.to_le_bytes());
                }
            }
            TcpOption::Timestamps { val, ecr } => {
                pool.write(&[5]);
                pool.write(&val.to_le_bytes());
                pool.write(&ecr.to_le_bytes());
            }
            TcpOption::Other { kind, data } => {
                pool.write(&[6, *kind, small(data.len())]);
                pool.write(data);
            }
            TcpOption::IllFormed(octets) => {
                pool.write(&[7, small(octets.len().saturating_sub(1))]);
                pool.write(octets);
            }
            TcpOption::Eol => pool.write(&[8]),
        }
    }
}
