//! Where objects go, and the stage that writes them.

use std::{
    collections::BTreeSet,
    env,
    error::Error,
    ffi::OsStr,
    fmt, fs,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use object_store::{ObjectStore, ObjectStoreExt, local::LocalFileSystem, path::Path};
use pipeline_core::{error::RunError, prelude::*};
use serde_json::value::RawValue;

use crate::{
    collection,
    object::{ENDING, Object},
    seen::Seen,
};

/// How old objects may be whose ids are read at the start.
const RECENT: Duration = Duration::from_secs(60 * 60);
/// And how many of them: the newest ones.
const MOST: usize = 1000;

/// A folder, here or far away. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    objects: Arc<dyn ObjectStore>,
    pub(crate) folder: Path,
}

impl Store {
    /// A local folder, which is made if it is not there, or what a URL says.
    ///
    /// # Errors
    ///
    /// It cannot be made, or the URL is not understood.
    pub(crate) fn open(store: &OsStr) -> Result<Self, BoxError> {
        if let Some(url) = store.to_str().filter(|text| text.contains("://")) {
            let variables = env::vars_os().filter_map(|(name, value)| {
                Some((name.into_string().ok()?, value.into_string().ok()?))
            });
            let (objects, folder) = object_store::parse_url_opts(&url.parse()?, variables)?;
            return Ok(Store {
                objects: objects.into(),
                folder,
            });
        }
        fs::create_dir_all(store)?;
        // a file is written beside its place, brought to the disk, and then renamed
        let objects = LocalFileSystem::new_with_prefix(store)?.with_fsync(true);
        Ok(Store {
            objects: Arc::new(objects),
            folder: Path::default(),
        })
    }

    // ANCHOR: recall
    /// Tells `seen` what was stored of late: what a client may send again because this program, or
    /// another one with the same store, ended before it could answer.
    ///
    /// # Errors
    ///
    /// The store cannot be read.
    pub(crate) async fn recall(&self, seen: &Seen) -> Result<(), RunError> {
        let since = SystemTime::now() - RECENT;
        let since = since.duration_since(UNIX_EPOCH).unwrap_or_default();
        let after = self
            .folder
            .clone()
            .join(format!("{:013}", since.as_millis()));
        let folder = (!self.folder.is_root()).then_some(&self.folder);

        let newest = Pipeline::from_try_stream(self.objects.list_with_offset(folder, &after))
            .map(|object| object.location)
            .filter(|name| name.as_ref().ends_with(ENDING))
            .fold(BTreeSet::new(), |mut newest, name| {
                newest.insert(name); // names are in the order of time
                if newest.len() > MOST {
                    newest.pop_first();
                }
                newest
            })
            .run()
            .await?;
        let seen = seen.clone();
        Pipeline::from_iter(newest.value)
            .stage(Ids::new(self.clone()))
            .for_each(move |ids| seen.remember(ids))
            .run()
            .await?;
        Ok(())
    }
    // ANCHOR_END: recall
}

/// The ids of the payloads in an object.
#[stage(
    parallelism = 8,
    window = 8,
    retry(backoff = "50ms"),
    attempt_timeout = "30s"
)]
async fn ids(#[state] store: &Store, name: Path) -> object_store::Result<Vec<Arc<str>>> {
    let content = store.objects.get(&name).await?.bytes().await?;
    let lines = content.split(|byte| *byte == b'\n');
    Ok(lines
        .filter_map(|line| serde_json::from_slice::<&RawValue>(line).ok())
        .filter_map(|payload| collection::id(payload).ok())
        .collect())
}

// ANCHOR: put
/// Writes an object. It is there as a whole or not at all, and a second attempt writes the same.
#[stage(unordered, attempt_timeout = "10s", retry(backoff = "50ms", max = 4))]
pub(crate) async fn put(
    #[state] store: &Store,
    object: Arc<Object>,
) -> Result<Arc<Object>, NotStored> {
    match store
        .objects
        .put(&object.name, object.content.clone())
        .await
    {
        Ok(_) => Ok(object),
        Err(cause) => Err(NotStored {
            name: object.name.clone(),
            payloads: object.payloads,
            cause,
        }),
    }
}
// ANCHOR_END: put

/// Which object could not be written, with how many payloads, and why.
#[derive(Debug)]
pub(crate) struct NotStored {
    name: Path,
    payloads: usize,
    cause: object_store::Error,
}

impl fmt::Display for NotStored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let NotStored { name, payloads, .. } = self;
        write!(f, "{name}: {payloads} payload(s) not stored")
    }
}

impl Error for NotStored {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.cause)
    }
}
