//! Frames of HTTP/2 (RFC 9113) and blocks of HPACK (RFC 7541) by hand, for what no library would send.

/// Types of frames.
pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

/// Flags of frames.
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// Bytes of a frame's payload at most, as long as nobody says otherwise.
pub(crate) const PAYLOAD_BYTES_MAX: usize = 16_384;
/// Bytes of a frame's header.
pub(crate) const HEADER_BYTES: usize = 9;

/// What a client says first.
pub(crate) fn preface() -> Vec<u8> {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    frame(&mut bytes, SETTINGS, 0, 0, &[]);
    bytes
}

/// Adds a frame.
pub(crate) fn frame(bytes: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let length = u32::try_from(payload.len()).expect("a short payload").to_be_bytes();
    bytes.extend(&length[1..]);
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
}

/// Headers of a call of gRPC.
pub(crate) fn call(path: &str) -> Vec<u8> {
    let mut block = vec![0x83, 0x87, 0x04];
    text(&mut block, path);
    block.push(0x01);
    text(&mut block, "localhost");
    literal(&mut block, "content-type", "application/grpc");
    literal(&mut block, "te", "trailers");
    block
}

/// Adds a header that stands for itself.
pub(crate) fn literal(block: &mut Vec<u8>, name: &str, value: &str) {
    block.push(0);
    text(block, name);
    text(block, value);
}

/// Headers of a call that has one header of 3,900 bytes again and again, each time in a single byte.
pub(crate) fn bomb(path: &str, times: usize) -> Vec<u8> {
    let mut block = call(path);
    // Into the dynamic table; its newest entry is number 62.
    block.push(0x40);
    text(&mut block, "x");
    text(&mut block, &"y".repeat(3_900));
    block.extend(std::iter::repeat_n(0xbe, times));
    block
}

/// Adds a text without Huffman's code.
fn text(block: &mut Vec<u8>, text: &str) {
    if let Ok(length @ ..127) = u8::try_from(text.len()) {
        block.push(length);
    } else {
        block.push(127);
        let mut rest = text.len() - 127;
        while rest >= 128 {
            block.push(0x80 | u8::try_from(rest % 128).expect("below 128"));
            rest /= 128;
        }
        block.push(u8::try_from(rest).expect("below 128"));
    }
    block.extend(text.as_bytes());
}
