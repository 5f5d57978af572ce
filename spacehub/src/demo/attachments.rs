//! Files, compressed in every way that XAF projects have tried, and their attachments.

use std::io::Write;

use flate2::{
    Compression,
    write::{DeflateEncoder, GzEncoder, ZlibEncoder},
};
use sandbox::legacy::{Error, Values};
use uuid::Uuid;

use super::{
    Load, World,
    dice::Dice,
    properties,
    value::{self, NULL, Value, bytes, guid, int, number, text},
    words,
    world::Stream,
};

pub(crate) fn load(world: &World, load: &mut Load<'_>) -> Result<(), Error> {
    load.table("FileData", (0..world.sizes.files).map(|index| file(world, index)))?;
    load.table("ContractAttachment", (0..world.sizes.files).map(|index| attachment(world, index)))
}

/// How a file is stored.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Storage {
    Plain,
    Zlib,
    Deflate,
    Gzip,
}

fn content(dice: &mut Dice, index: u64) -> Vec<u8> {
    match index {
        0..=2 => properties::noise(dice, 100_000),
        _ => {
            let length = usize::try_from(300 + dice.below(3_000)).unwrap_or(300);
            words::clauses(dice, length).into_bytes()
        }
    }
}

/// Content as it is stored. Writing to a vector can't fail; if it did, the plain bytes stay.
pub(crate) fn store(storage: Storage, content: &[u8]) -> Value {
    let level = Compression::default();
    let packed = match storage {
        Storage::Plain => None,
        Storage::Zlib => pack(ZlibEncoder::new(Vec::new(), level), content, ZlibEncoder::finish),
        Storage::Deflate => {
            pack(DeflateEncoder::new(Vec::new(), level), content, DeflateEncoder::finish)
        }
        Storage::Gzip => pack(GzEncoder::new(Vec::new(), level), content, GzEncoder::finish),
    };
    bytes(packed.unwrap_or_else(|| content.to_vec()))
}

fn pack<W: Write>(
    mut encoder: W,
    content: &[u8],
    finish: impl FnOnce(W) -> std::io::Result<Vec<u8>>,
) -> Option<Vec<u8>> {
    encoder.write_all(content).ok()?;
    finish(encoder).ok()
}

pub(crate) fn length(content: &[u8]) -> Value {
    number(u64::try_from(content.len()).unwrap_or(0))
}

fn file(world: &World, index: u64) -> Values {
    let mut dice = world.dice(Stream::File, index);
    let content = content(&mut dice, index);
    let storage = match index % 4 {
        0 => Storage::Plain,
        1 => Storage::Deflate,
        2 => Storage::Gzip,
        _ => Storage::Zlib,
    };
    vec![
        guid(world.guid(Stream::FileGuid, index)),
        length(&content),
        text(format!("Гэрээ №{index}.pdf")),
        store(storage, &content),
        value::maybe(&mut dice, 4, |dice| int(dice.int(3))),
        if index % 29 == 9 { int(11) } else { NULL },
    ]
}

fn attachment(world: &World, index: u64) -> Values {
    let mut dice = world.dice(Stream::Attachment, index);
    let (company, contract_no) =
        world.contract_key_by_child(world.contract_of(index * 31), &mut dice);
    let deleted = index % 29 == 9;
    let uploaded = value::any_day(&mut dice);
    let user = dice.below(world.sizes.users);
    vec![
        guid(world.guid(Stream::AttachmentGuid, index)),
        if deleted { NULL } else { guid(world.guid(Stream::FileGuid, index)) },
        if deleted { NULL } else { text(company) },
        if deleted { NULL } else { text(contract_no) },
        value::maybe(&mut dice, 6, |dice| int(dice.int(4))),
        match dice.below(6) {
            0 => guid(Uuid::nil()),
            _ if deleted => NULL,
            _ => guid(world.guid(Stream::UserGuid, user)),
        },
        value::step(uploaded, dice.int(86_400), dice.int(300)),
        int(dice.int(3)),
        if deleted { int(12) } else { NULL },
    ]
}
