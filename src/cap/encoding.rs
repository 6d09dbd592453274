//! From bytes to text: which encoding a document is in, and nothing else than that.
//!
//! Owns the byte order mark, the XML declaration and the ends of lines. Bytes that are not text in the document's
//! encoding are refused with their place: a replacement character could stand for anything. Source: XML 1.0,
//! sections 2.8, 2.11, 4.3.3 and appendix F; the WHATWG Encoding Standard for names and tables.

use encoding_rs::{DecoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252, X_USER_DEFINED};

use super::error::{CapError, Fault, Notice};
use super::flaw::Flaw;

/// Bytes in which the XML declaration must have ended.
const DECLARATION_BYTES_MAX: usize = 512;

/// The longest name of an encoding: twice what registries have.
const ENCODING_NAME_BYTES_MAX: usize = 64;

/// Names that the Encoding Standard reads as windows-1252 and that allow no byte above 0x7F.
const ASCII_NAMES: [&str; 3] = ["us-ascii", "ascii", "ansi_x3.4-1968"];

/// A document as text.
#[derive(Debug)]
pub(super) struct Decoded {
    /// The whole document, without byte order mark, lines ended by `\n` (XML 1.0, section 2.11).
    pub text: String,
    /// What is to be remarked.
    pub notices: Vec<Notice>,
}

/// Reads a document's bytes as text.
///
/// # Errors
/// A [`CapError`] for a bad XML declaration, an unknown encoding, or bytes that are not text in it.
pub(super) fn decode(bytes: &[u8]) -> Result<Decoded, CapError> {
    let (marked, content) = match bytes {
        [0xef, 0xbb, 0xbf, rest @ ..] => (Some(UTF_8), rest),
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] | [b'<', 0, 0, 0, ..] | [0, 0, 0, b'<', ..] => {
            return Err(at_start(Fault::UnknownEncoding { found: "UTF-32".to_owned() }));
        }
        [0xff, 0xfe, rest @ ..] => (Some(UTF_16LE), rest),
        [0xfe, 0xff, rest @ ..] => (Some(UTF_16BE), rest),
        [b'<', 0, ..] => (Some(UTF_16LE), bytes),
        [0, b'<', ..] => (Some(UTF_16BE), bytes),
        _ => (None, bytes),
    };
    let Some(encoding) = marked else {
        let head: String = content.iter().take(DECLARATION_BYTES_MAX).copied().map(char::from).collect();
        let declared = declared_encoding(&head).map_err(at_start)?;
        return decode_declared(content, declared);
    };
    let text = decode_as(content, bytes.len() - content.len(), encoding)?;
    let declared = declared_encoding(&text).map_err(at_start)?;
    let mut notices = Vec::new();
    if let Some(name) = declared {
        let named = known(name).map_err(at_start)?;
        let same = named == encoding || (named == UTF_16LE && encoding == UTF_16BE);
        if !same {
            // The bytes are beyond doubt; programs that store a document anew often leave the old name.
            notices.push(Notice::OtherEncoding { declared: name.to_owned(), used: encoding.name() });
        }
    }
    Ok(Decoded { text, notices })
}

/// Says a fault of the XML declaration, or that there is none.
fn at_start(fault: Fault) -> CapError {
    Flaw::document(0, fault).told("")
}

/// Decodes bytes without a mark, by what their declaration says.
fn decode_declared(content: &[u8], declared: Option<&str>) -> Result<Decoded, CapError> {
    let Some(name) = declared else {
        return Ok(Decoded { text: decode_as(content, 0, UTF_8)?, notices: Vec::new() });
    };
    let encoding = known(name).map_err(at_start)?;
    let mut notices = Vec::new();
    let lower = name.to_ascii_lowercase();
    if encoding == UTF_16LE || encoding == UTF_16BE {
        // The declaration was read byte by byte, so the document is not in UTF-16, whatever it says.
        notices.push(Notice::OtherEncoding { declared: name.to_owned(), used: UTF_8.name() });
        return Ok(Decoded { text: decode_as(content, 0, UTF_8)?, notices });
    }
    if ASCII_NAMES.contains(&lower.as_str()) {
        if let Some(byte) = content.iter().position(|byte| !byte.is_ascii()) {
            let text = with_plain_line_ends(content[..byte].iter().copied().map(char::from).collect());
            let fault = Fault::MalformedBytes { encoding: "US-ASCII", byte };
            return Err(Flaw::document(text.len(), fault).told(&text));
        }
    } else if encoding == WINDOWS_1252
        && !lower.contains("1252")
        && content.iter().any(|b| (0x80..0xa0).contains(b))
    {
        notices.push(Notice::Windows1252);
    }
    Ok(Decoded { text: decode_as(content, 0, encoding)?, notices })
}

/// Looks up an encoding by its name in the declaration.
fn known(name: &str) -> Result<&'static Encoding, Fault> {
    Encoding::for_label_no_replacement(name.as_bytes())
        .filter(|&encoding| encoding != X_USER_DEFINED)
        .ok_or_else(|| Fault::UnknownEncoding { found: name.to_owned() })
}

/// Decodes all bytes, or says where that ends; `offset` bytes stood before them in the file.
fn decode_as(content: &[u8], offset: usize, encoding: &'static Encoding) -> Result<String, CapError> {
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let mut text = String::new();
    text.reserve(decoder.max_utf8_buffer_length_without_replacement(content.len()).unwrap_or(content.len()));
    let (result, read) = decoder.decode_to_string_without_replacement(content, &mut text, true);
    let fault = match result {
        DecoderResult::InputEmpty => return Ok(with_plain_line_ends(text)),
        DecoderResult::Malformed(bad, after) => {
            let byte = offset + read.saturating_sub(usize::from(bad) + usize::from(after));
            Fault::MalformedBytes { encoding: encoding.name(), byte }
        }
        DecoderResult::OutputFull => Fault::MalformedBytes { encoding: encoding.name(), byte: offset + read },
    };
    let text = with_plain_line_ends(text);
    Err(Flaw::document(text.len(), fault).told(&text))
}

/// Turns every end of line into `\n`, as XML does before anything else.
fn with_plain_line_ends(text: String) -> String {
    if text.contains('\r') { text.replace("\r\n", "\n").replace('\r', "\n") } else { text }
}

/// Reads the XML declaration at the start of `head`, if there is one, and returns the encoding that it names.
///
/// # Errors
/// [`Fault::IllFormed`] if it is not as XML 1.0 has it.
fn declared_encoding(head: &str) -> Result<Option<&str>, Fault> {
    let Some(after) = head.strip_prefix("<?xml").filter(|rest| rest.starts_with(is_space)) else {
        return Ok(None);
    };
    let shown: String = head.chars().take_while(|&c| c != '>').collect();
    let ill = || {
        Fault::ill_formed(&shown, "an XML declaration such as `<?xml version=\"1.0\" encoding=\"UTF-8\"?>`")
    };
    let (inside, _) = after.split_once("?>").ok_or_else(ill)?;
    let (version, rest) = pseudo_attribute(inside, "version").ok_or_else(ill)?;
    // Section 2.8: a document of a later version 1.x is read as one of 1.0.
    let minor = version.strip_prefix("1.").unwrap_or_default();
    if minor.is_empty() || !minor.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Fault::ill_formed(version, "XML version `1.0`"));
    }
    let (encoding, rest) = match pseudo_attribute(rest, "encoding") {
        Some((name, rest)) if is_encoding_name(name) => (Some(name), rest),
        Some(_) => return Err(ill()),
        None => (None, rest),
    };
    let rest = match pseudo_attribute(rest, "standalone") {
        Some(("yes" | "no", rest)) => rest,
        Some(_) => return Err(ill()),
        None => rest,
    };
    if rest.trim_start_matches(is_space).is_empty() { Ok(encoding) } else { Err(ill()) }
}

/// Takes ` name = "value"` from the start of `text`; returns the value and what comes after.
fn pseudo_attribute<'a>(text: &'a str, name: &str) -> Option<(&'a str, &'a str)> {
    let rest = text.strip_prefix(is_space)?.trim_start_matches(is_space).strip_prefix(name)?;
    let rest = rest.trim_start_matches(is_space).strip_prefix('=')?.trim_start_matches(is_space);
    let quote = rest.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    rest[1..].split_once(quote)
}

/// XML 1.0, production 81, bounded.
fn is_encoding_name(name: &str) -> bool {
    name.len() <= ENCODING_NAME_BYTES_MAX
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// XML 1.0, production 3.
fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A document that declares `encoding`, with the given bytes as its content.
    fn document(encoding: &str, content: &[u8]) -> Vec<u8> {
        [format!("<?xml version=\"1.0\" encoding=\"{encoding}\"?>\n").as_bytes(), content].concat()
    }

    fn utf_16(text: &str, bytes_of: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(bytes_of).collect()
    }

    #[test]
    fn every_encoding_gives_the_same_text() {
        let bom = [0xef, 0xbb, 0xbf];
        for (bytes, text) in [
            (document("UTF-8", "<a>é€</a>".as_bytes()), "<a>é€</a>"),
            (document("utf-8", b"<a>\xc3\xa9</a>"), "<a>é</a>"),
            (document("ISO-8859-1", b"<a>\xe9\xf3</a>"), "<a>éó</a>"),
            (document("iso-8859-15", b"<a>\xa4</a>"), "<a>€</a>"),
            (document("windows-1252", b"<a>\x93\x80\x94</a>"), "<a>“€”</a>"),
            (document("windows-1251", b"<a>\xc0</a>"), "<a>А</a>"),
            (document("Shift_JIS", b"<a>\x93\xfa</a>"), "<a>日</a>"),
            (document("US-ASCII", b"<a>e</a>"), "<a>e</a>"),
            ("<a>é\r\nb\rc\n</a>".as_bytes().to_vec(), "<a>é\nb\nc\n</a>"),
            ([&bom[..], "<a>é</a>".as_bytes()].concat(), "<a>é</a>"),
            (utf_16("\u{feff}<a>é😀</a>", u16::to_le_bytes), "<a>é😀</a>"),
            (utf_16("\u{feff}<a>é😀</a>", u16::to_be_bytes), "<a>é😀</a>"),
            (utf_16("<?xml version='1.0' encoding='UTF-16'?><a>é</a>", u16::to_le_bytes), "<a>é</a>"),
            (utf_16("<a>é</a>", u16::to_be_bytes), "<a>é</a>"),
        ] {
            let decoded = decode(&bytes).unwrap();
            assert!(decoded.text.ends_with(text), "{:?}", decoded.text);
            assert_eq!(decoded.notices, [], "{text}");
        }
    }

    #[test]
    fn name_that_does_not_fit_the_bytes_is_remarked() {
        let marked =
            |name: &str| [&[0xef, 0xbb, 0xbf], document(name, "<a>é</a>".as_bytes()).as_slice()].concat();
        for bytes in [
            marked("ISO-8859-1"),
            document("UTF-16", "<a>é</a>".as_bytes()),
            utf_16("\u{feff}<?xml version='1.0' encoding='utf-8'?><a>é</a>", u16::to_le_bytes),
        ] {
            let decoded = decode(&bytes).unwrap();
            assert!(decoded.text.ends_with("<a>é</a>"));
            assert!(matches!(decoded.notices[..], [Notice::OtherEncoding { .. }]));
        }
        let decoded = decode(&document("ISO-8859-1", b"<a>l\x92alerte</a>")).unwrap();
        assert!(decoded.text.ends_with("<a>l’alerte</a>"));
        assert_eq!(decoded.notices, [Notice::Windows1252]);
    }

    #[test]
    fn malformed_bytes_are_refused_at_their_place() {
        for (bytes, byte, place) in [
            (b"<a>\n\xc3\xa9\xe9</a>".to_vec(), 6, (2, 2)),
            (b"<a>\r\n\xc3\xa9\xe9</a>".to_vec(), 7, (2, 2)),
            (b"<a>\xed\xa0\x80</a>".to_vec(), 3, (1, 4)),
            (b"<a>\xc3".to_vec(), 3, (1, 4)),
            (document("US-ASCII", b"\xe9"), 42, (2, 1)),
            (document("windows-1253", b"a\xd2"), 47, (2, 2)),
            (b"\xff\xfe<\0a\0>\0\0\xd8<\0".to_vec(), 8, (1, 4)),
            (b"\xff\xfe<\0a\0>\0x".to_vec(), 8, (1, 4)),
            (b"\xef\xbb\xbf<a>\xff".to_vec(), 6, (1, 4)),
        ] {
            let error = decode(&bytes).unwrap_err();
            let found = matches!(error.fault, Fault::MalformedBytes { byte: found, .. } if found == byte);
            assert!(found && (error.line, error.column) == place, "{error} in {bytes:?}");
        }
    }

    #[test]
    fn unknown_names_and_bad_declarations_are_refused() {
        for name in ["UTF-7", "UTF-32", "IBM037", "x-user-defined", "iso-2022-kr", "cp850"] {
            let fault = decode(&document(name, b"<a/>")).unwrap_err().fault;
            assert_eq!(fault, Fault::UnknownEncoding { found: name.to_owned() });
        }
        assert!(decode(b"\xff\xfe\0\0<\0\0\0").unwrap_err().fault.to_string().contains("UTF-32"));
        for declaration in [
            "<?xml encoding='UTF-8'?>",
            "<?xml version='2.0'?>",
            "<?xml version='1.'?>",
            "<?xml version='1.x'?>",
            "<?xml version='1.0' encoding=''?>",
            "<?xml ?>",
            "<?xml version='1.0' standalone='maybe'?>",
            "<?xml version='1.0'encoding='UTF-8'?>",
            "<?xml version='1.0'>",
            "<?xml version='1.0' encoding='é'?>",
            "<?xml version='1.0' standalone='no' encoding='UTF-8'?>",
        ] {
            let fault = decode(format!("{declaration}<a/>").as_bytes()).unwrap_err().fault;
            assert!(matches!(fault, Fault::IllFormed { .. }), "{declaration}: {fault:?}");
        }
        assert!(decode(b"<?xml version = '1.0' encoding = \"UTF-8\" standalone = 'yes' ?><a/>").is_ok());
        assert!(decode(b"<?xml version='1.1'?><a/>").is_ok());
        assert!(decode(b"<?xml-stylesheet href='a'?><a/>").is_ok());
    }
}
