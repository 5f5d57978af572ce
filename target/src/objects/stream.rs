//! Objects that are too large for the memory: they come in pieces and leave in pieces.
//!
//! An object's address is the hash of its content, which is known at the end only. So what comes in
//! is spooled to a file without a name, which goes with the process, and put under its address
//! when it is whole. A store never holds half an object under an address.

use std::{io, ops::Range, pin::Pin};

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, TryStreamExt as _};
use mapping::row::object_address;
use object_store::{GetOptions, GetRange, ObjectStore as _, ObjectStoreExt as _, PutPayload};
use sha2::{Digest as _, Sha256};
use tokio::{
    fs::File,
    io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _},
};

use super::ObjectStore;
use crate::Error;

/// What is held in memory of one object. Stores want parts of at least 5 MiB.
const PART_BYTES: usize = 8 * 1024 * 1024;

/// An object's bytes, piece by piece.
pub type Chunks = Pin<Box<dyn Stream<Item = Result<Bytes, Error>> + Send>>;

/// Content that is still coming in.
#[derive(Debug)]
pub struct Spool {
    file: File,
    hash: Sha256,
    size: u64,
}

impl Spool {
    /// An empty one, in the system's folder for temporary files.
    ///
    /// # Errors
    /// [`Error::Objects`].
    pub async fn new() -> Result<Self, Error> {
        let made = tokio::task::spawn_blocking(tempfile::tempfile).await;
        let file = made.map_err(io::Error::from).and_then(|made| made).map_err(spooling)?;
        Ok(Self { file: File::from_std(file), hash: Sha256::new(), size: 0 })
    }

    /// Adds a piece.
    ///
    /// # Errors
    /// [`Error::Objects`].
    pub async fn write(&mut self, piece: &[u8]) -> Result<(), Error> {
        self.file.write_all(piece).await.map_err(spooling)?;
        self.hash.update(piece);
        self.size += u64::try_from(piece.len()).unwrap_or(u64::MAX);
        Ok(())
    }

    /// Bytes so far.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    async fn rewind(&mut self) -> Result<(), Error> {
        self.file.flush().await.map_err(spooling)?;
        self.file.rewind().await.map_err(spooling)?;
        Ok(())
    }

    /// The next part; shorter than a whole one at the end only.
    async fn part(&mut self) -> Result<Bytes, Error> {
        let mut part = BytesMut::with_capacity(PART_BYTES);
        while part.len() < PART_BYTES {
            let mut rest = (&mut self.file).take((PART_BYTES - part.len()).try_into().unwrap_or(0));
            if rest.read_buf(&mut part).await.map_err(spooling)? == 0 {
                break;
            }
        }
        Ok(part.freeze())
    }
}

impl ObjectStore {
    /// Puts what was spooled, and says where. What is there already is only looked at.
    ///
    /// # Errors
    /// [`Error::Objects`].
    pub async fn put_spool(&self, mut spool: Spool) -> Result<String, Error> {
        let address = object_address(spool.hash.clone().finalize().into());
        spool.rewind().await?;
        let first = spool.part().await?;
        if u64::try_from(first.len()) == Ok(spool.size) {
            self.put(&address, &first).await?;
            return Ok(address);
        }
        let doing = || Error::objects(format!("putting the object {address}"));
        let path = self.path(&address);
        match self.store.head(&path).await {
            Ok(found) if found.size == spool.size => return Ok(address),
            Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(doing()(error)),
        }
        let mut upload = self.store.put_multipart(&path).await.map_err(doing())?;
        let mut part = first;
        while !part.is_empty() {
            if let Err(error) = upload.put_part(PutPayload::from(part)).await {
                // Whatever was put of it costs money until it is told to go.
                if let Err(left) = upload.abort().await {
                    tracing::debug!(error = %left, "an upload was left behind");
                }
                return Err(doing()(error));
            }
            part = spool.part().await?;
        }
        upload.complete().await.map_err(doing())?;
        Ok(address)
    }

    /// Puts content that is in memory, and says where.
    ///
    /// # Errors
    /// [`Error::Objects`].
    pub async fn put_content(&self, content: Bytes) -> Result<String, Error> {
        let address = object_address(Sha256::digest(&content).into());
        self.put(&address, &content).await?;
        Ok(address)
    }

    /// Bytes of an object, as they come.
    ///
    /// # Errors
    /// [`Error::Objects`], also when it is shorter than that.
    pub async fn read(&self, address: &str, range: Range<u64>) -> Result<Chunks, Error> {
        if range.is_empty() {
            return Ok(Box::pin(futures_util::stream::empty()));
        }
        let what = format!("getting the object {address}");
        let options = GetOptions::new().with_range(Some(GetRange::Bounded(range)));
        let found = self.store.get_opts(&self.path(address), options).await;
        let found = found.map_err(Error::objects(what.clone()))?;
        Ok(Box::pin(found.into_stream().map_err(move |error| Error::objects(what.as_str())(error))))
    }
}

/// A full disk is one here, too.
fn spooling(error: io::Error) -> Error {
    let source = Box::new(error);
    let doing = "spooling an object into the system's folder for temporary files";
    Error::objects(doing)(object_store::Error::Generic { store: "spool", source })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn collected(store: &ObjectStore, address: &str, range: Range<u64>) -> Vec<u8> {
        let pieces: Vec<Bytes> =
            store.read(address, range).await.expect("there").try_collect().await.expect("whole");
        pieces.concat()
    }

    #[tokio::test]
    async fn what_comes_in_pieces_leaves_as_it_came_from_any_place() {
        let folder = tempfile::tempdir().expect("a folder");
        let url = url::Url::from_directory_path(folder.path()).expect("a URL");
        let store = ObjectStore::open(url.as_str(), []).expect("a store");
        // Empty, one part, exactly one part, several.
        for size in [0, 1_000, PART_BYTES, 2 * PART_BYTES + 7] {
            let content: Vec<u8> = (0..size).map(|n| u8::try_from(n % 251).unwrap_or(0)).collect();
            let mut spool = Spool::new().await.expect("a spool");
            for piece in content.chunks(65_537) {
                spool.write(piece).await.expect("written");
            }
            assert_eq!(spool.size(), u64::try_from(size).unwrap_or(0));
            let address = store.put_spool(spool).await.expect("put");
            assert_eq!(address, object_address(Sha256::digest(&content).into()));
            let again = store.put_content(content.clone().into()).await.expect("put again");
            assert_eq!(address, again);
            let end = u64::try_from(size).unwrap_or(0);
            assert!(collected(&store, &address, 0..end).await == content, "{size}");
            if size > 10 {
                let last = content.get(size - 10..).unwrap_or_default();
                assert_eq!(collected(&store, &address, end - 10..end).await, last);
            }
        }
    }
}
