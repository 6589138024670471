//! Objects that a service of this process answers for.

use std::{any::Any, sync::Arc};

use crate::{
    caller::{session_handle::SessionHandle, stub::Stub},
    handler::dispatch::{Service, Services},
    link::Handle,
    schema::descriptor::ServiceDescriptor,
    value::object::{Behaviour, LocalObject},
};

#[cfg(feature = "driver")]
use std::sync::Mutex;

#[cfg(feature = "driver")]
use crate::sync::lock;

/// Makes a session in memory in which these services are called.
pub(crate) type Connect = fn(Services) -> SessionHandle;

/// The behaviour of an object whose calls a service answers.
pub(crate) struct Served {
    service: Arc<dyn Service>,
    /// Makes sessions in which this process itself calls the service; `None` if it cannot.
    connect: Option<Connect>,
    /// Those sessions: one for each runtime that has called the service and is still alive.
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

    fn session_here(&self) -> Option<Arc<dyn Any + Send + Sync>> {
        Some(self.in_process(self.connect?)?)
    }
}

impl Served {
    /// The session in which this process calls the service from the current runtime; made if there is none. Outside of all
    /// runtimes, a session that some runtime has made. Inside a runtime, sessions of other runtimes are not used: nobody may be
    /// driving them, and they end with their runtime.
    #[cfg(feature = "driver")]
    fn in_process(&self, connect: Connect) -> Option<Arc<Handle>> {
        let mut sessions = lock(&self.in_process);
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
        services.offer(Arc::clone(&self.service));
        // Sessions of runtimes that are gone are closed: they are removed here.
        sessions.retain(|known| !known.session.is_closed());
        let session = connect(services);
        let handle = Arc::clone(&session.handle);
        sessions.push(InProcess { runtime, session });
        Some(handle)
    }

    #[cfg(not(feature = "driver"))]
    fn in_process(&self, _connect: Connect) -> Option<Arc<Handle>> {
        None
    }
}

impl Stub {
    /// The stub of a service of this process.
    #[cfg(not(feature = "driver"))]
    pub fn of_service(service: Arc<dyn Service>) -> Self {
        Self::served(service, None)
    }

    /// The stub of a service of this process, which itself calls the service through sessions that `connect` makes.
    pub(crate) fn served(service: Arc<dyn Service>, connect: Option<Connect>) -> Self {
        let descriptor = service.descriptor();
        Self::local(LocalObject::of_service(service, connect), descriptor)
    }
}

impl LocalObject {
    pub(crate) fn of_service(service: Arc<dyn Service>, connect: Option<Connect>) -> Arc<Self> {
        Self::new(Served {
            service,
            connect,
            #[cfg(feature = "driver")]
            in_process: Mutex::default(),
        })
    }

    /// The service that answers the object's calls; `None` for an object that forwards them.
    pub(crate) fn service(&self) -> Option<&Arc<dyn Service>> {
        self.behaviour::<Served>().map(|served| &served.service)
    }
}
