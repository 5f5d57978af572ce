//! The object store: where large values go that Postgres only refers to.
//!
//! An object's path is the hash of its content, so putting it twice is putting it once, and two
//! rows with one content share it. Objects are put before the transaction that refers to them
//! begins: a process that dies in between leaves an object that nobody refers to, never a
//! reference to nothing. Nothing here ever deletes one.
//!
//! A folder is `file:///srv/objects`; it must be there already, so that a disk that is not
//! mounted is told and not filled behind its mount point. Files are flushed to the disk before
//! they count. `s3://bucket/path` is S3 and what speaks like it (MinIO, R2); any other store of the
//! `object_store` crate is a cargo feature of it away.

mod stream;

use std::{collections::BTreeMap, fmt, sync::Arc};

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};
use mapping::row::RowBatch;
use object_store::{ObjectStoreExt as _, PutPayload, local::LocalFileSystem, path::Path};

use crate::{Error, Target, error::StoreCause};

pub use self::stream::{Chunks, Spool};

/// Puts at the same time.
const PUTS: usize = 8;

/// The setting, for messages.
const SETTING: &str = "objects.url";

/// A place for objects. Cheap to clone.
#[derive(Clone)]
pub struct ObjectStore {
    store: Arc<dyn object_store::ObjectStore>,
    /// Everything is below it.
    root: Path,
}

impl fmt::Debug for ObjectStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.store)
    }
}

impl ObjectStore {
    /// By its URL. `options` are those of the store's kind, such as `AWS_ACCESS_KEY_ID` from the
    /// environment; a folder has none.
    ///
    /// # Errors
    /// [`Error::Settings`].
    pub fn open(
        url: &str,
        options: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Error> {
        let wrong = |why: String| Error::Settings { setting: SETTING, why };
        // The parser's message does not quote the URL, which may hold a password.
        let parsed = url::Url::parse(url)
            .map_err(|error| wrong(format!("{error}; write file:///srv/objects, for instance")))?;
        if parsed.scheme() == "file" {
            let folder = parsed.to_file_path().map_err(|()| {
                wrong("a folder is written with three strokes: file:///srv/objects".into())
            })?;
            let store = LocalFileSystem::new_with_prefix(&folder)
                .map_err(|_| wrong(format!("there is no folder {}; make it", folder.display())))?;
            if !folder.is_dir() {
                return Err(wrong(format!("{} is no folder", folder.display())));
            }
            let store = Arc::new(store.with_fsync(true));
            return Ok(Self { store, root: Path::default() });
        }
        if !parsed.username().is_empty() || parsed.password().is_some() {
            let why = "it holds a login; keys come from AWS_ACCESS_KEY_ID and its like".to_owned();
            return Err(wrong(why));
        }
        if parsed.scheme() == "memory" {
            return Err(wrong("what is kept in memory is lost; write file:///srv/objects".into()));
        }
        let (store, root) = object_store::parse_url_opts(&parsed, options).map_err(|error| {
            let known = "a folder (file:///srv/objects) or S3 (s3://bucket/path)";
            match parsed.scheme() {
                "s3" | "s3a" => wrong(StoreCause::from(error).to_string()),
                other => wrong(format!("objects go to {known}, and not to {other}:")),
            }
        })?;
        Ok(Self { store: Arc::from(store), root })
    }

    /// Whether objects can be put: puts the empty one.
    ///
    /// # Errors
    /// [`Error::Objects`].
    pub async fn check(&self) -> Result<(), Error> {
        // The hash of nothing.
        const EMPTY: &str =
            "sha256/e3/b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let put = self.store.put(&self.path(EMPTY), PutPayload::default()).await;
        put.map_err(Error::objects("putting an empty object"))?;
        Ok(())
    }

    /// Whether the store answers; nothing is written, and there need not be any object.
    ///
    /// # Errors
    /// [`Error::Objects`].
    pub async fn reach(&self) -> Result<(), Error> {
        match self.store.head(&self.path("sha256/none")).await {
            Ok(_) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(Error::objects("asking the object store")(error)),
        }
    }

    /// The object at an address that a column holds.
    ///
    /// # Errors
    /// [`Error::Objects`].
    pub async fn get(&self, address: &str) -> Result<Bytes, Error> {
        let doing = || Error::objects(format!("getting the object {address}"));
        let found = self.store.get(&self.path(address)).await.map_err(doing())?;
        found.bytes().await.map_err(doing())
    }

    fn path(&self, address: &str) -> Path {
        let parts = address.split('/').map(Into::into);
        self.root.parts().chain(parts).collect()
    }

    /// Puts objects; those that are there already are only looked at.
    async fn put_all(self, objects: Vec<(String, Bytes)>) -> Result<(), Error> {
        // Owned, so that the compiler can prove `Send`; neither clone copies an object.
        let puts = objects.into_iter().map(|(address, content)| {
            let store = self.clone();
            async move { store.put(&address, &content).await }
        });
        futures_util::stream::iter(puts).buffer_unordered(PUTS).try_collect().await
    }

    async fn put(&self, address: &str, content: &Bytes) -> Result<(), Error> {
        let doing = || Error::objects(format!("putting the object {address}"));
        let path = self.path(address);
        match self.store.head(&path).await {
            Ok(found) if usize::try_from(found.size) == Ok(content.len()) => return Ok(()),
            // Cut short by something else than this program: the address says what it must be.
            Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(doing()(error)),
        }
        // Whoever puts it meanwhile puts the same, and no store needs to know conditions.
        let payload = PutPayload::from(content.clone());
        self.store.put(&path, payload).await.map_err(doing())?;
        Ok(())
    }
}

impl Target {
    /// The same target with a place for objects, which a mapping with `lob = "object-store"` needs.
    #[must_use]
    pub fn with_objects(mut self, objects: ObjectStore) -> Self {
        self.objects = Some(objects);
        self
    }

    /// Whether batches can be written: Postgres answers, and so does the object store.
    ///
    /// # Errors
    /// [`Error::Postgres`], [`Error::Objects`].
    pub async fn ready(&self) -> Result<(), Error> {
        self.last_passed().await?;
        match &self.objects {
            Some(objects) => objects.check().await,
            None => Ok(()),
        }
    }

    /// Takes the objects out of a batch's rows.
    pub(crate) fn take_objects(
        &self,
        parts: &mut [RowBatch],
    ) -> Result<BTreeMap<String, Bytes>, Error> {
        let mut objects = BTreeMap::new();
        for object in parts.iter_mut().flat_map(|part| std::mem::take(&mut part.objects)) {
            objects.entry(object.address).or_insert_with(|| Bytes::from(object.content));
        }
        if !objects.is_empty() && self.objects.is_none() {
            let columns = self.plan().object_columns().join(", ");
            let why = format!("the mapping sends {columns} to an object store, and none is set");
            return Err(Error::Settings { setting: SETTING, why });
        }
        Ok(objects)
    }

    /// Puts a batch's objects, once.
    pub(crate) async fn put_objects(
        &self,
        objects: &mut BTreeMap<String, Bytes>,
    ) -> Result<(), Error> {
        if let (Some(store), false) = (&self.objects, objects.is_empty()) {
            let all = objects.iter().map(|(address, content)| (address.clone(), content.clone()));
            store.clone().put_all(all.collect()).await?;
            objects.clear();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(url: &str) -> String {
        match ObjectStore::open(url, []) {
            Err(Error::Settings { setting: "objects.url", why }) => why,
            other => panic!("{url}: {other:?}"),
        }
    }

    #[test]
    fn a_place_that_can_not_be_used_is_told() {
        assert_eq!(
            why("/srv/objects"),
            "relative URL without a base; write file:///srv/objects, for instance"
        );
        assert_eq!(why("file:///no/such/folder"), "there is no folder /no/such/folder; make it");
        assert_eq!(why("file:///dev/null"), "/dev/null is no folder");
        assert!(why("file://server/share").starts_with("a folder is written with three strokes"));
        assert!(why("memory:///").starts_with("what is kept in memory is lost"));
        assert!(
            why("ftp://host/x").starts_with("objects go to a folder (file:///srv/objects) or S3")
        );
        for url in ["s3://user:secret@bucket/x", "ftp://user:secret@host/x"] {
            assert!(why(url).starts_with("it holds a login; keys come from"), "{url}");
        }
    }
}
