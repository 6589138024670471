::core::compile_error! {
    "parameters need a plain name, like `id: u64`"
}
trait Chat: ::rpc_core::__private::Send + ::rpc_core::__private::Sync + 'static {
    fn good(
        &self,
    ) -> impl ::rpc_core::__private::Future<Output = u8> + ::rpc_core::__private::Send;
    #[allow(async_fn_in_trait)]
    async fn bad(&self, _: (u8, u8)) -> u8;
}
///A client of [`Chat`].
struct ChatClient {
    stub: ::rpc_core::__private::Stub,
}
#[allow(deprecated, clippy::too_many_arguments)]
impl ChatClient {
    #[allow(missing_docs)]
    fn good(&self) -> ::rpc_core::Promise<u8, ::rpc_core::Never> {
        let call = ::rpc_core::__private::Stub::begin(&self.stub, 0u32);
        ::rpc_core::__private::CallBuilder::send::<u8, ::rpc_core::Never>(call)
    }
    /// The same client, whose calls must return within `limit`.
    ///
    /// The deadline travels with each call and is inherited by calls built on its result and by calls its
    /// handler makes.
    #[allow(dead_code)]
    fn deadline(&self, limit: ::rpc_core::__private::Duration) -> Self {
        ::rpc_core::ServiceClient::deadline(self, limit)
    }
    /// The same client, whose calls carry this key and value beside their arguments.
    #[allow(dead_code)]
    fn metadata(
        &self,
        key: impl ::rpc_core::__private::Into<::rpc_core::__private::String>,
        value: impl ::rpc_core::__private::Into<::rpc_core::__private::String>,
    ) -> Self {
        ::rpc_core::ServiceClient::metadata(self, key, value)
    }
}
#[automatically_derived]
#[allow(deprecated)]
impl ::rpc_core::__private::Clone for ChatClient {
    fn clone(&self) -> Self {
        Self {
            stub: ::rpc_core::__private::Clone::clone(&self.stub),
        }
    }
}
#[automatically_derived]
#[allow(deprecated)]
impl ::rpc_core::__private::Debug for ChatClient {
    fn fmt(
        &self,
        formatter: &mut ::rpc_core::__private::fmt::Formatter<'_>,
    ) -> ::rpc_core::__private::fmt::Result {
        ::rpc_core::__private::fmt::Formatter::debug_tuple(formatter, "ChatClient")
            .field(&self.stub)
            .finish()
    }
}
#[automatically_derived]
#[allow(deprecated)]
impl ::rpc_core::ServiceClient for ChatClient {
    fn descriptor() -> &'static ::rpc_core::ServiceDescriptor {
        static __METHODS: [::rpc_core::MethodDescriptor; 1u32
            as ::rpc_core::__private::usize] = [
            ::rpc_core::MethodDescriptor {
                name: "good",
                docs: "",
                arguments: &[],
                result: ::rpc_core::ValueDescriptor::new::<u8>("u8"),
                error: ::rpc_core::__private::Option::None,
                attributes: ::rpc_core::MethodAttributes {
                    idempotent: false,
                    oneway: false,
                    blocking: false,
                    no_cancel: false,
                    batch: ::rpc_core::__private::Option::None,
                    deprecated: ::rpc_core::__private::Option::None,
                },
                cache: ::rpc_core::__private::SignatureCache::new(),
            },
        ];
        static __SERVICE: ::rpc_core::ServiceDescriptor = ::rpc_core::ServiceDescriptor {
            name: "Chat",
            docs: "",
            ordered: false,
            methods: &__METHODS,
        };
        &__SERVICE
    }
    fn from_stub(stub: ::rpc_core::__private::Stub) -> Self {
        Self { stub: stub }
    }
    fn stub(&self) -> &::rpc_core::__private::Stub {
        &self.stub
    }
}
///Answers calls of [`Chat`] with an implementation of it.
#[allow(deprecated)]
struct ChatServer<__Implementation>(::rpc_core::__private::Arc<__Implementation>);
#[allow(deprecated)]
impl<__Implementation: Chat> ChatServer<__Implementation> {
    /// Answers with this implementation.
    #[allow(dead_code)]
    fn new(implementation: __Implementation) -> Self {
        Self(::rpc_core::__private::Arc::new(implementation))
    }
    /// Answers with this implementation, which its owner goes on using.
    #[allow(dead_code)]
    fn from_arc(implementation: ::rpc_core::__private::Arc<__Implementation>) -> Self {
        Self(implementation)
    }
}
#[automatically_derived]
#[allow(deprecated)]
impl<__Implementation> ::rpc_core::__private::Clone for ChatServer<__Implementation> {
    fn clone(&self) -> Self {
        Self(::rpc_core::__private::Arc::clone(&self.0))
    }
}
#[automatically_derived]
#[allow(deprecated, unused_variables)]
impl<__Implementation: Chat> ::rpc_core::Service for ChatServer<__Implementation> {
    fn descriptor(&self) -> &'static ::rpc_core::ServiceDescriptor {
        <ChatClient as ::rpc_core::ServiceClient>::descriptor()
    }
    fn dispatch(
        &self,
        method: ::rpc_core::__private::u32,
        incoming: ::rpc_core::__private::Incoming,
    ) -> ::rpc_core::__private::Reply {
        let implementation = ::rpc_core::__private::Arc::clone(&self.0);
        match method {
            0u32 => {
                ::rpc_core::__private::Incoming::run::<
                    _,
                    u8,
                    ::rpc_core::Never,
                    _,
                >(
                    incoming,
                    |reader: &mut ::rpc_core::__private::ArgumentReader<'_>| {
                        ::rpc_core::__private::Result::Ok(())
                    },
                    move |()| async move {
                        ::rpc_core::__private::Result::Ok(
                            <__Implementation as Chat>::good(&*implementation).await,
                        )
                    },
                )
            }
            _ => ::rpc_core::__private::Incoming::unknown_method(incoming),
        }
    }
}
