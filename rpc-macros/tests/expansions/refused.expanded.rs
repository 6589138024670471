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
/**A client of [`Chat`](trait@Chat). A call is on its way when it is made and gives a promise; each argument is a value, or a promise of one.

A session gives one for a service that its peer offers: `ChatClient::new(&client)` or `client.service()`. [`local`](Self::local) makes one of an implementation in this process.*/
struct ChatClient {
    stub: ::rpc_core::__private::Stub,
}
#[allow(deprecated, clippy::too_many_arguments)]
impl ChatClient {
    ///Promises `u8`; it cannot fail by itself.
    fn good(&self) -> ::rpc_core::Promise<u8, ::rpc_core::Never> {
        let __rpc_session = ::rpc_core::__private::Stub::session(&self.stub);
        let __rpc_call = ::rpc_core::__private::Stub::begin(
            &self.stub,
            &__rpc_session,
            0u32,
        );
        ::rpc_core::__private::CallBuilder::send::<u8, ::rpc_core::Never>(__rpc_call)
    }
    /// The same client, whose calls must return within this time.
    ///
    /// The deadline travels with each call and is inherited by calls built on its result and by calls its
    /// handler makes.
    #[allow(dead_code)]
    fn deadline(&self, __rpc_limit: ::rpc_core::__private::Duration) -> Self {
        ::rpc_core::ServiceClient::deadline(self, __rpc_limit)
    }
    /// The same client, whose calls carry this key and value beside their arguments.
    #[allow(dead_code)]
    fn metadata(
        &self,
        __rpc_key: impl ::rpc_core::__private::Into<::rpc_core::__private::String>,
        __rpc_value: impl ::rpc_core::__private::Into<::rpc_core::__private::String>,
    ) -> Self {
        ::rpc_core::ServiceClient::metadata(self, __rpc_key, __rpc_value)
    }
    /// Completes with the reason when the object cannot be reached any more, because its session is over.
    ///
    /// Of a local object it never completes. It holds nothing and may be dropped at any time.
    #[allow(dead_code)]
    fn closed(
        &self,
    ) -> impl ::rpc_core::__private::Future<
        Output = ::rpc_core::CloseReason,
    > + ::rpc_core::__private::Send + 'static {
        ::rpc_core::ServiceClient::closed(self)
    }
    /// Completes when no peer holds this local object any more. A client of a remote object does not wait.
    ///
    /// It holds nothing but the object and may be dropped at any time.
    #[allow(dead_code)]
    fn released(
        &self,
    ) -> impl ::rpc_core::__private::Future<
        Output = (),
    > + ::rpc_core::__private::Send + 'static {
        ::rpc_core::ServiceClient::released(self)
    }
    ///A client of the service that the session's peer offers, as the session's `service()` makes it.
    #[allow(dead_code)]
    fn new(__rpc_session: &impl ::rpc_core::AsSession) -> Self {
        ::rpc_core::__private::SessionHandle::service(
            ::rpc_core::AsSession::as_session(__rpc_session),
        )
    }
    /**A client of an implementation of [`Chat`](trait@Chat) in this process: an object to pass to the peer, which calls it back. It is dropped when nobody holds a client of it any more.

Its methods can be called here too, inside a tokio runtime, as if through a session of its own: one for each runtime, so a promise made in one is an argument there only.*/
    #[allow(dead_code)]
    fn local<__RpcImplementation: ::rpc_core::__private::ImplementationOf<Self>>(
        __rpc_implementation: __RpcImplementation,
    ) -> Self {
        ::rpc_core::__private::ImplementationOf::into_client(__rpc_implementation)
    }
    #[doc(hidden)]
    #[allow(dead_code)]
    fn connect<__RpcAddress: ::rpc_core::__private::ConnectsTo<Self>>(
        _: __RpcAddress,
    ) -> ::rpc_core::__private::Pending<
        ::rpc_core::__private::Result<Self, ::rpc_core::SocketError>,
    > {
        ::rpc_core::__private::pending()
    }
}
#[automatically_derived]
#[allow(deprecated)]
impl ::rpc_core::__private::Clone for ChatClient {
    fn clone(&self) -> Self {
        <Self as ::rpc_core::ServiceClient>::from_stub(
            ::rpc_core::__private::Clone::clone(::rpc_core::ServiceClient::stub(self)),
        )
    }
}
#[automatically_derived]
#[allow(deprecated)]
impl ::rpc_core::__private::Debug for ChatClient {
    fn fmt(
        &self,
        __rpc_formatter: &mut ::rpc_core::__private::fmt::Formatter<'_>,
    ) -> ::rpc_core::__private::fmt::Result {
        ::rpc_core::__private::fmt::Formatter::debug_tuple(__rpc_formatter, "ChatClient")
            .field(::rpc_core::ServiceClient::stub(self))
            .finish()
    }
}
#[automatically_derived]
#[allow(deprecated)]
impl ::rpc_core::ServiceClient for ChatClient {
    fn descriptor() -> &'static ::rpc_core::schema::ServiceDescriptor {
        static __RPC_METHODS: [::rpc_core::schema::MethodDescriptor; 1u32
            as ::rpc_core::__private::usize] = [
            ::rpc_core::schema::MethodDescriptor {
                name: "good",
                rust_name: "good",
                docs: "",
                arguments: &[],
                result: ::rpc_core::schema::ValueDescriptor::new::<u8>("u8"),
                error: ::rpc_core::__private::Option::None,
                attributes: ::rpc_core::schema::MethodAttributes::NONE,
                cache: ::rpc_core::__private::SignatureCache::new(),
            },
        ];
        static __RPC_SERVICE: ::rpc_core::schema::ServiceDescriptor = ::rpc_core::schema::ServiceDescriptor {
            name: "Chat",
            rust_name: "Chat",
            docs: "",
            ordered: false,
            methods: &__RPC_METHODS,
            objects: ::rpc_core::__private::ObjectsCache::new(),
        };
        &__RPC_SERVICE
    }
    fn from_stub(__rpc_stub: ::rpc_core::__private::Stub) -> Self {
        Self { stub: __rpc_stub }
    }
    fn stub(&self) -> &::rpc_core::__private::Stub {
        &self.stub
    }
}
#[automatically_derived]
#[allow(deprecated)]
impl ::rpc_core::__private::serde::Serialize for ChatClient {
    fn serialize<__RpcSerializer: ::rpc_core::__private::serde::Serializer>(
        &self,
        __rpc_serializer: __RpcSerializer,
    ) -> ::rpc_core::__private::Result<__RpcSerializer::Ok, __RpcSerializer::Error> {
        ::rpc_core::__private::serialize_object(
            ::rpc_core::ServiceClient::stub(self),
            __rpc_serializer,
        )
    }
}
#[automatically_derived]
#[allow(deprecated)]
impl<'de> ::rpc_core::__private::serde::Deserialize<'de> for ChatClient {
    fn deserialize<__RpcDeserializer: ::rpc_core::__private::serde::Deserializer<'de>>(
        __rpc_deserializer: __RpcDeserializer,
    ) -> ::rpc_core::__private::Result<Self, __RpcDeserializer::Error> {
        ::rpc_core::__private::Result::Ok(
            <Self as ::rpc_core::ServiceClient>::from_stub(
                ::rpc_core::__private::deserialize_object(
                    <Self as ::rpc_core::ServiceClient>::descriptor(),
                    __rpc_deserializer,
                )?,
            ),
        )
    }
}
#[automatically_derived]
#[allow(deprecated)]
impl ::rpc_core::__private::PartialEq for ChatClient {
    fn eq(&self, __rpc_other: &Self) -> ::rpc_core::__private::bool {
        ::rpc_core::__private::PartialEq::eq(
            ::rpc_core::ServiceClient::stub(self),
            ::rpc_core::ServiceClient::stub(__rpc_other),
        )
    }
}
#[automatically_derived]
#[allow(deprecated)]
impl ::rpc_core::__private::Eq for ChatClient {}
#[automatically_derived]
#[allow(deprecated)]
impl ::rpc_core::__private::Hash for ChatClient {
    fn hash<__RpcHasher: ::rpc_core::__private::Hasher>(
        &self,
        __rpc_hasher: &mut __RpcHasher,
    ) {
        ::rpc_core::__private::Hash::hash(
            ::rpc_core::ServiceClient::stub(self),
            __rpc_hasher,
        );
    }
}
#[automatically_derived]
#[allow(deprecated)]
impl ::rpc_core::Pipelined for ChatClient {
    type Pipe<
        __RpcError: ::rpc_core::__private::Send + ::rpc_core::__private::Sync + 'static,
    > = Self;
    fn pipe<
        __RpcError: ::rpc_core::__private::Send + ::rpc_core::__private::Sync + 'static,
    >(__rpc_at: ::rpc_core::__private::PipeAt<__RpcError>) -> Self {
        <Self as ::rpc_core::ServiceClient>::from_stub(
            ::rpc_core::__private::Stub::promised(
                &__rpc_at,
                <Self as ::rpc_core::ServiceClient>::descriptor(),
            ),
        )
    }
}
#[automatically_derived]
#[allow(deprecated)]
impl ::rpc_core::IntoArg<ChatClient> for &ChatClient {
    fn put_into(self, __rpc_arguments: &mut ::rpc_core::__private::Arguments<'_>) {
        <ChatClient as ::rpc_core::IntoArg<
            ChatClient,
        >>::put_into(::rpc_core::__private::Clone::clone(self), __rpc_arguments);
    }
}
///Answers calls of [`Chat`](trait@Chat) with an implementation of it.
#[allow(deprecated)]
struct ChatServer<__RpcImplementation>(::rpc_core::__private::Arc<__RpcImplementation>);
#[allow(deprecated)]
impl<__RpcImplementation> ChatServer<__RpcImplementation> {
    ///Answers with this implementation of [`Chat`](trait@Chat).
    #[allow(dead_code)]
    fn new(__rpc_implementation: __RpcImplementation) -> Self
    where
        __RpcImplementation: ::rpc_core::__private::ImplementationOf<ChatClient>,
    {
        Self(::rpc_core::__private::Arc::new(__rpc_implementation))
    }
}
#[allow(deprecated)]
impl<__RpcImplementation: Chat> ChatServer<__RpcImplementation> {
    /// Answers with this implementation, which its owner goes on using.
    #[allow(dead_code)]
    fn from_arc(
        __rpc_implementation: ::rpc_core::__private::Arc<__RpcImplementation>,
    ) -> Self {
        Self(__rpc_implementation)
    }
    /// As an object of its own: a client that can be passed to the peer, which calls it back.
    #[allow(dead_code)]
    fn into_client(self) -> ChatClient {
        <ChatClient as ::rpc_core::ServiceClient>::from_stub(
            ::rpc_core::__private::Stub::of_service(
                ::rpc_core::__private::Arc::new(self),
            ),
        )
    }
}
#[automatically_derived]
#[allow(deprecated)]
impl<__RpcImplementation: Chat> ::rpc_core::__private::Calls<__RpcImplementation>
for ChatClient {
    fn local(__rpc_implementation: __RpcImplementation) -> Self {
        ChatServer(::rpc_core::__private::Arc::new(__rpc_implementation)).into_client()
    }
}
#[automatically_derived]
#[allow(deprecated)]
impl<__RpcImplementation> ::rpc_core::__private::Clone
for ChatServer<__RpcImplementation> {
    fn clone(&self) -> Self {
        Self(::rpc_core::__private::Arc::clone(&self.0))
    }
}
#[automatically_derived]
#[allow(deprecated, unused_variables)]
impl<__RpcImplementation: Chat> ::rpc_core::Service for ChatServer<__RpcImplementation> {
    fn descriptor(&self) -> &'static ::rpc_core::schema::ServiceDescriptor {
        <ChatClient as ::rpc_core::ServiceClient>::descriptor()
    }
    fn dispatch(
        &self,
        __rpc_method: ::rpc_core::__private::u32,
        __rpc_incoming: ::rpc_core::__private::Incoming,
    ) -> ::rpc_core::__private::Reply {
        let __rpc_implementation = ::rpc_core::__private::Arc::clone(&self.0);
        match __rpc_method {
            0u32 => {
                ::rpc_core::__private::Incoming::run::<
                    _,
                    u8,
                    ::rpc_core::Never,
                    _,
                >(
                    __rpc_incoming,
                    |__rpc_reader: &mut ::rpc_core::__private::ArgumentReader<'_>| {
                        ::rpc_core::__private::Result::Ok(())
                    },
                    move |()| async move {
                        ::rpc_core::__private::Result::Ok(
                            <__RpcImplementation as Chat>::good(&*__rpc_implementation)
                                .await,
                        )
                    },
                )
            }
            _ => ::rpc_core::__private::Incoming::unknown_method(__rpc_incoming),
        }
    }
}
