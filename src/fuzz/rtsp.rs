//! What a camera answers over RTSP, as the relay passes it on.

use std::net::{IpAddr, Ipv4Addr};

use tokio::runtime::Builder;
use url::Url;

use crate::rtsp::connection_guard::ConnectionGuard;
use crate::rtsp::message::MessageHeader;
use crate::rtsp::policy::Policy;

/// Bytes of a head and of a body that the relay takes.
const LIMIT: usize = 128 << 10;

/// The answers of one connection. What is passed on must read the same again: otherwise the receiver could read it differently.
pub fn rtsp(bytes: &[u8]) {
    let runtime = Builder::new_current_thread().build().expect("a runtime");
    let address = Url::parse("rtsps://camera/live").expect("an address");
    runtime.block_on(async {
        let (mut policy, guard) = (Policy::new(address), ConnectionGuard::default());
        let mut from = bytes;
        while let Ok(mut head) = MessageHeader::read(&mut from).await {
            if policy.apply(&mut head, IpAddr::V4(Ipv4Addr::LOCALHOST), &guard).is_err() {
                return;
            }
            let Ok(message) = head.with_body(&mut from).await else { return };
            assert!(message.len() <= LIMIT + 64, "{} bytes", message.len());
            let mut again = &message[..];
            if let Ok(head) = MessageHeader::read(&mut again).await {
                let same = head.with_body(&mut again).await.expect("a whole message");
                assert!(same == message && again.is_empty(), "read differently:\n{}", message.escape_ascii());
            }
        }
    });
}
