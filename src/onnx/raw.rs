//! Protobuf messages as lists of undecoded fields, so that unknown parts of a file are preserved.

use std::collections::HashMap;

use prost::Message;
use prost::bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::encoding::{WireType, decode_key, decode_varint, encode_key, encode_varint};

use crate::onnx::proto::StringStringEntryProto;

/// Numbers of the fields that are changed: `ModelProto.graph` and `.metadata_props`; `GraphProto.node`, `.initializer`,
/// `.input`, `.output` and `.value_info`.
pub const GRAPH: u32 = 7;
pub const METADATA: u32 = 14;
pub const NODE: u32 = 1;
pub const INITIALIZER: u32 = 5;
pub const INPUT: u32 = 11;
pub const OUTPUT: u32 = 12;
pub const VALUE_INFO: u32 = 13;

/// One field of a message.
#[derive(Clone, Debug)]
pub struct Field {
    pub number: u32,
    /// Key and value, encoded.
    encoded: Bytes,
    /// The value of a string, of bytes or of a message; empty for numbers.
    pub value: Bytes,
}

impl Field {
    pub fn message(number: u32, message: &impl Message) -> Self {
        Self::bytes(number, message.encode_to_vec().into())
    }

    pub fn bytes(number: u32, value: Bytes) -> Self {
        let mut encoded = BytesMut::with_capacity(value.len() + 16);
        encode_key(number, WireType::LengthDelimited, &mut encoded);
        encode_varint(value.len() as u64, &mut encoded);
        encoded.put_slice(&value);
        Self { number, encoded: encoded.freeze(), value }
    }
}

/// Splits a message into its fields without a copy; `None` if it is truncated or not a protobuf message.
pub fn fields(message: &Bytes) -> Option<Vec<Field>> {
    let mut rest = message.clone();
    let mut fields = Vec::new();
    while rest.has_remaining() {
        let begin = message.len() - rest.len();
        let (number, kind) = decode_key(&mut rest).ok()?;
        let length = match kind {
            WireType::Varint => decode_varint(&mut rest).map(|_| 0).ok()?,
            WireType::SixtyFourBit => 8,
            WireType::ThirtyTwoBit => 4,
            WireType::LengthDelimited => usize::try_from(decode_varint(&mut rest).ok()?).ok()?,
            // ONNX has no groups.
            WireType::StartGroup | WireType::EndGroup => return None,
        };
        if length > rest.len() {
            return None;
        }
        let value = rest.split_to(length);
        let value = if kind == WireType::LengthDelimited { value } else { Bytes::new() };
        fields.push(Field { number, encoded: message.slice(begin..message.len() - rest.len()), value });
    }
    Some(fields)
}

/// Joins fields to a message.
pub fn message(fields: &[Field]) -> Bytes {
    let mut message = BytesMut::with_capacity(fields.iter().map(|field| field.encoded.len()).sum());
    fields.iter().for_each(|field| message.put_slice(&field.encoded));
    message.freeze()
}

/// Sets metadata of a model file, whose other entries stay as they are.
pub fn replace_metadata(model: &mut Vec<Field>, metadata: HashMap<&'static str, String>) {
    let replaced = |field: &Field| {
        field.number == METADATA
            && StringStringEntryProto::decode(field.value.clone())
                .is_ok_and(|entry| metadata.contains_key(entry.key.as_str()))
    };
    model.retain(|field| !replaced(field));
    let mut entries: Vec<_> = metadata.into_iter().collect();
    entries.sort();
    model.extend(
        entries
            .into_iter()
            .map(|(key, value)| Field::message(METADATA, &StringStringEntryProto { key: key.into(), value })),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_file_is_restored_byte_for_byte() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models/drinking-cooking.int8.onnx");
        let file = Bytes::from(std::fs::read(path).unwrap());
        let all = fields(&file).unwrap();
        assert_eq!(message(&all), file);
        let graph = all.iter().find(|field| field.number == 7).unwrap();
        assert_eq!(Field::bytes(7, message(&fields(&graph.value).unwrap())).encoded, graph.encoded);
    }

    #[test]
    fn truncated_messages_are_refused() {
        assert!(fields(&Bytes::from_static(&[0x0a, 0x05, 1, 2])).is_none());
        assert!(fields(&Bytes::from_static(&[0x0b])).is_none());
        assert!(fields(&Bytes::from_static(&[0xff])).is_none());
        assert_eq!(fields(&Bytes::new()).unwrap().len(), 0);
    }
}
