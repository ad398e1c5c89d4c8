//! lwIP behind the harness's target protocol.

use std::io;

use lwip_adapter::Lwip;
use tcp_harness::protocol::serve::serve;

fn main() -> io::Result<()> {
    serve(&mut Lwip::default(), io::stdin().lock(), io::stdout().lock())
}
