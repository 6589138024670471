//! Objects that a service of this process answers for.

use std::sync::Arc;

use crate::{
    dispatch::Service,
    schema::descriptor::ServiceDescriptor,
    sync::lock,
    value::object::{Behaviour, LocalObject},
};

#[cfg(feature = "driver")]
use crate::{dispatch::Services, link::Handle, memory, session_handle::SessionHandle};
#[cfg(feature = "driver")]
use std::sync::Mutex;

/// The behaviour of an object whose calls a service answers.
pub(crate) struct Served {
    service: Arc<dyn Service>,
    /// The sessions in which this process calls it: one for each runtime that has, as long as that lives.
    #[cfg(feature = "driver")]
    in_process: Mutex<Vec<InProcess>>,
}

/// A session in memory and the runtime that drives it.
#[cfg(feature = "driver")]
struct InProcess {
    runtime: tokio::runtime::Id,
    session: SessionHandle,
}

impl Behaviour for Served {
    fn descriptor(&self) -> Option<&'static ServiceDescriptor> {
        Some(self.service.descriptor())
    }
}

impl LocalObject {
    pub(crate) fn of_service(service: Arc<dyn Service>) -> Arc<Self> {
        Self::new(Served {
            service,
            #[cfg(feature = "driver")]
            in_process: Mutex::default(),
        })
    }

    /// What answers its calls, unless it passes them on.
    pub(crate) fn service(&self) -> Option<&Arc<dyn Service>> {
        self.behaviour::<Served>().map(|served| &served.service)
    }
}

#[cfg(feature = "driver")]
impl LocalObject {
    /// The session in which this process calls it from the current runtime, made if there is none; outside of all runtimes,
    /// one that another has made. A session of another runtime is not used while there is a current one: nobody may be driving
    /// it, and it ends with that runtime.
    pub(crate) fn in_process(&self) -> Option<Arc<Handle>> {
        let served = self.behaviour::<Served>()?;
        let mut sessions = lock(&served.in_process);
        let Ok(runtime) = tokio::runtime::Handle::try_current().map(|runtime| runtime.id()) else {
            let open = sessions.iter().find(|known| !known.session.is_closed())?;
            return Some(Arc::clone(&open.session.handle));
        };
        if let Some(known) = sessions.iter().find(|known| known.runtime == runtime)
            && !known.session.is_closed()
        {
            return Some(Arc::clone(&known.session.handle));
        }
        let mut services = Services::new();
        services.offer(Arc::clone(&served.service));
        // Those of runtimes that are gone go, too.
        sessions.retain(|known| !known.session.is_closed());
        let session = memory::connect(services);
        let handle = Arc::clone(&session.handle);
        sessions.push(InProcess { runtime, session });
        Some(handle)
    }
}
