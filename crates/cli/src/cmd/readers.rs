//! `stead readers`: who reads events under a name; and the place of one that reads them here.

use stead_client::{Client, ClientError};
use stead_model::ReaderName;

use crate::app::App;
use crate::args::Readers;
use crate::clock;
use crate::failure::Failure;
use crate::render;

pub(super) async fn readers(app: &mut App<'_>, verb: &Readers) -> Result<(), Failure> {
    let now = clock::now();
    match verb {
        Readers::List => {
            let rows = app.client.readers().await?;
            app.out.show(&rows, |rows, _| render::readers(rows, now))
        }
        Readers::Remove { reader } => {
            let was = app.client.remove_reader(reader).await?;
            app.out.show(&was, |was, _| render::reader_removed(was))
        }
    }
}

/// Where a named reader stands, as the daemon keeps it.
pub(super) struct Place {
    client: Client,
    name: ReaderName,
    kept: String,
    shown: u64,
}

impl Place {
    /// Takes up the place of a reader; one that is not known begins now.
    pub(super) async fn of(client: &Client, name: ReaderName) -> Result<Self, Failure> {
        let view = client.acknowledge(&name, None).await?;
        Ok(Self {
            client: client.clone(),
            name,
            kept: view.position,
            shown: 0,
        })
    }

    /// Counts an event that was shown; whether it is time to have the place kept.
    pub(super) fn is_due(&mut self) -> bool {
        self.shown += 1;
        self.shown.is_multiple_of(EACH)
    }

    /// Has the place kept, if it is another one. A daemon that is away is asked again with the next place.
    pub(super) async fn keep(&mut self, cursor: Option<&str>) -> Result<(), Failure> {
        let Some(cursor) = cursor.filter(|cursor| *cursor != self.kept) else {
            return Ok(());
        };
        match self.client.acknowledge(&self.name, Some(cursor)).await {
            Ok(_view) => cursor.clone_into(&mut self.kept),
            Err(ClientError::Unreachable { .. } | ClientError::Timeout { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

/// After how many events the place is kept; those behind it are shown again after a crash.
const EACH: u64 = 100;
