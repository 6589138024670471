///Rooms.
#[allow(non_snake_case)]
pub(crate) trait Chat: facade::rpc::__private::Send + facade::rpc::__private::Sync + 'static {
    #[deprecated(note = "use find")]
    #[expect(unused)]
    fn log(
        &self,
        #[allow(unused)]
        line: String,
        cx: &Context,
    ) -> impl facade::rpc::__private::Future<Output = ()> + facade::rpc::__private::Send;
    #[must_use]
    #[doc = include_str!("deadline.md")]
    fn deadline(
        &self,
    ) -> impl facade::rpc::__private::Future<Output = ()> + facade::rpc::__private::Send;
    fn r#match(
        &self,
        r#in: u8,
    ) -> impl facade::rpc::__private::Future<
        Output = std::result::Result<(), Vec<u8>>,
    > + facade::rpc::__private::Send;
}
///Rooms.
#[allow(non_snake_case)]
///
/**A client of [`Chat`](trait@Chat). A call is on its way when it is made and gives a promise; each argument is a value, or a promise of one.

A session gives one for a service that its peer offers: `ChatClient::new(&client)` or `client.service()`. [`local`](Self::local) makes one of an implementation in this process.*/
pub(crate) struct ChatClient {
    stub: facade::rpc::__private::Stub,
}
#[allow(non_snake_case)]
#[allow(deprecated, clippy::too_many_arguments)]
impl ChatClient {
    #[deprecated(note = "use find")]
    #[allow(unused)]
    ///One-way: it says whether the call was sent, and nothing comes back.
    pub(crate) fn log(
        &self,
        line: impl facade::rpc::IntoArg<String>,
    ) -> facade::rpc::__private::Result<(), facade::rpc::NotSent> {
        let __rpc_session = facade::rpc::__private::Stub::session(&self.stub);
        let mut __rpc_call = facade::rpc::__private::Stub::begin(
            &self.stub,
            &__rpc_session,
            0u32,
        );
        facade::rpc::__private::CallBuilder::argument::<String>(&mut __rpc_call, line);
        facade::rpc::__private::CallBuilder::send_oneway(__rpc_call)
    }
    #[doc = include_str!("deadline.md")]
    ///
    ///Promises `()`; it cannot fail by itself. Idempotent: it may be retried. It goes on when the promise is dropped.
    pub(crate) fn deadline(&self) -> facade::rpc::Promise<(), facade::rpc::Never> {
        let __rpc_session = facade::rpc::__private::Stub::session(&self.stub);
        let __rpc_call = facade::rpc::__private::Stub::begin(
            &self.stub,
            &__rpc_session,
            1u32,
        );
        facade::rpc::__private::CallBuilder::send::<(), facade::rpc::Never>(__rpc_call)
    }
    ///Promises `()`; fails with `Vec<u8>`, as `CallError::Method`.
    pub(crate) fn r#match(
        &self,
        r#in: impl facade::rpc::IntoArg<u8>,
    ) -> facade::rpc::Promise<(), Vec<u8>> {
        let __rpc_session = facade::rpc::__private::Stub::session(&self.stub);
        let mut __rpc_call = facade::rpc::__private::Stub::begin(
            &self.stub,
            &__rpc_session,
            2u32,
        );
        facade::rpc::__private::CallBuilder::argument::<u8>(&mut __rpc_call, r#in);
        facade::rpc::__private::CallBuilder::send::<(), Vec<u8>>(__rpc_call)
    }
    /// The same client, whose calls carry this key and value beside their arguments.
    #[allow(dead_code)]
    pub(crate) fn metadata(
        &self,
        __rpc_key: impl facade::rpc::__private::Into<facade::rpc::__private::String>,
        __rpc_value: impl facade::rpc::__private::Into<facade::rpc::__private::String>,
    ) -> Self {
        facade::rpc::ServiceClient::metadata(self, __rpc_key, __rpc_value)
    }
    /// Completes with the reason when the object cannot be reached any more, because its session is over.
    ///
    /// Of a local object it never completes. It holds nothing and may be dropped at any time.
    #[allow(dead_code)]
    pub(crate) fn closed(
        &self,
    ) -> impl facade::rpc::__private::Future<
        Output = facade::rpc::CloseReason,
    > + facade::rpc::__private::Send + 'static {
        facade::rpc::ServiceClient::closed(self)
    }
    /// Completes when no peer holds this local object any more. A client of a remote object does not wait.
    ///
    /// It holds nothing but the object and may be dropped at any time.
    #[allow(dead_code)]
    pub(crate) fn released(
        &self,
    ) -> impl facade::rpc::__private::Future<
        Output = (),
    > + facade::rpc::__private::Send + 'static {
        facade::rpc::ServiceClient::released(self)
    }
    ///A client of the service that the session's peer offers, as the session's `service()` makes it.
    #[allow(dead_code)]
    pub(crate) fn new(__rpc_session: &impl facade::rpc::AsSession) -> Self {
        facade::rpc::__private::SessionHandle::service(
            facade::rpc::AsSession::as_session(__rpc_session),
        )
    }
    /**A client of an implementation of [`Chat`](trait@Chat) in this process: an object to pass to the peer, which calls it back. It is dropped when nobody holds a client of it any more.

Its methods can be called here too, inside a tokio runtime, as if through a session of its own: one for each runtime, so a promise made in one is an argument there only.*/
    #[allow(dead_code)]
    pub(crate) fn local<
        __RpcImplementation: facade::rpc::__private::ImplementationOf<Self>,
    >(__rpc_implementation: __RpcImplementation) -> Self {
        facade::rpc::__private::ImplementationOf::into_client(__rpc_implementation)
    }
    #[doc(hidden)]
    #[allow(dead_code)]
    pub(crate) fn connect<__RpcAddress: facade::rpc::__private::ConnectsTo<Self>>(
        _: __RpcAddress,
    ) -> facade::rpc::__private::Pending<
        facade::rpc::__private::Result<Self, facade::rpc::SocketError>,
    > {
        facade::rpc::__private::pending()
    }
}
#[automatically_derived]
#[allow(deprecated)]
impl facade::rpc::__private::Clone for ChatClient {
    fn clone(&self) -> Self {
        <Self as facade::rpc::ServiceClient>::from_stub(
            facade::rpc::__private::Clone::clone(facade::rpc::ServiceClient::stub(self)),
        )
    }
}
#[automatically_derived]
#[allow(deprecated)]
impl facade::rpc::__private::Debug for ChatClient {
    fn fmt(
        &self,
        __rpc_formatter: &mut facade::rpc::__private::fmt::Formatter<'_>,
    ) -> facade::rpc::__private::fmt::Result {
        facade::rpc::__private::fmt::Formatter::debug_tuple(
                __rpc_formatter,
                "ChatClient",
            )
            .field(facade::rpc::ServiceClient::stub(self))
            .finish()
    }
}
#[automatically_derived]
#[allow(deprecated)]
impl facade::rpc::ServiceClient for ChatClient {
    fn descriptor() -> &'static facade::rpc::schema::ServiceDescriptor {
        static __RPC_METHODS: [facade::rpc::schema::MethodDescriptor; 3u32
            as facade::rpc::__private::usize] = [
            facade::rpc::schema::MethodDescriptor {
                name: "log_line",
                rust_name: "log",
                docs: "",
                arguments: &[
                    facade::rpc::schema::ArgumentDescriptor::new::<
                        String,
                    >("line", "String"),
                ],
                result: facade::rpc::schema::ValueDescriptor::new::<()>("()"),
                error: facade::rpc::__private::Option::None,
                attributes: {
                    let mut __rpc_attributes = facade::rpc::schema::MethodAttributes::NONE;
                    __rpc_attributes.oneway = true;
                    __rpc_attributes.deprecated = facade::rpc::__private::Option::Some(
                        "use find",
                    );
                    __rpc_attributes
                },
                cache: facade::rpc::__private::SignatureCache::new(),
            },
            facade::rpc::schema::MethodDescriptor {
                name: "deadline",
                rust_name: "deadline",
                docs: ::core::concat!(include_str!("deadline.md")),
                arguments: &[],
                result: facade::rpc::schema::ValueDescriptor::new::<()>("()"),
                error: facade::rpc::__private::Option::None,
                attributes: {
                    let mut __rpc_attributes = facade::rpc::schema::MethodAttributes::NONE;
                    __rpc_attributes.idempotent = true;
                    __rpc_attributes.blocking = true;
                    __rpc_attributes.no_cancel = true;
                    __rpc_attributes
                },
                cache: facade::rpc::__private::SignatureCache::new(),
            },
            facade::rpc::schema::MethodDescriptor {
                name: "match",
                rust_name: "match",
                docs: "",
                arguments: &[
                    facade::rpc::schema::ArgumentDescriptor::new::<u8>("in", "u8"),
                ],
                result: facade::rpc::schema::ValueDescriptor::new::<()>("()"),
                error: facade::rpc::__private::Option::Some(
                    facade::rpc::schema::ValueDescriptor::new::<Vec<u8>>("Vec<u8>")
                        .shown(|| {
                            use facade::rpc::__private::{
                                ByDebug as _, ByDisplay as _, ByError as _, ByNoText as _,
                            };
                            (&&&&facade::rpc::__private::Witness::<Vec<u8>>::new())
                                .__rpc_shown()
                        }),
                ),
                attributes: facade::rpc::schema::MethodAttributes::NONE,
                cache: facade::rpc::__private::SignatureCache::new(),
            },
        ];
        static __RPC_SERVICE: facade::rpc::schema::ServiceDescriptor = facade::rpc::schema::ServiceDescriptor {
            name: "chat.v1",
            rust_name: "Chat",
            docs: "Rooms.",
            ordered: true,
            methods: &__RPC_METHODS,
            objects: facade::rpc::__private::ObjectsCache::new(),
        };
        &__RPC_SERVICE
    }
    fn from_stub(__rpc_stub: facade::rpc::__private::Stub) -> Self {
        Self { stub: __rpc_stub }
    }
    fn stub(&self) -> &facade::rpc::__private::Stub {
        &self.stub
    }
}
#[automatically_derived]
#[allow(deprecated)]
impl facade::rpc::__private::serde::Serialize for ChatClient {
    fn serialize<__RpcSerializer: facade::rpc::__private::serde::Serializer>(
        &self,
        __rpc_serializer: __RpcSerializer,
    ) -> facade::rpc::__private::Result<__RpcSerializer::Ok, __RpcSerializer::Error> {
        facade::rpc::__private::serialize_object(
            facade::rpc::ServiceClient::stub(self),
            __rpc_serializer,
        )
    }
}
#[automatically_derived]
#[allow(deprecated)]
impl<'de> facade::rpc::__private::serde::Deserialize<'de> for ChatClient {
    fn deserialize<__RpcDeserializer: facade::rpc::__private::serde::Deserializer<'de>>(
        __rpc_deserializer: __RpcDeserializer,
    ) -> facade::rpc::__private::Result<Self, __RpcDeserializer::Error> {
        facade::rpc::__private::Result::Ok(
            <Self as facade::rpc::ServiceClient>::from_stub(
                facade::rpc::__private::deserialize_object(
                    <Self as facade::rpc::ServiceClient>::descriptor(),
                    __rpc_deserializer,
                )?,
            ),
        )
    }
}
#[automatically_derived]
#[allow(deprecated)]
impl facade::rpc::__private::PartialEq for ChatClient {
    fn eq(&self, __rpc_other: &Self) -> facade::rpc::__private::bool {
        facade::rpc::__private::PartialEq::eq(
            facade::rpc::ServiceClient::stub(self),
            facade::rpc::ServiceClient::stub(__rpc_other),
        )
    }
}
#[automatically_derived]
#[allow(deprecated)]
impl facade::rpc::__private::Eq for ChatClient {}
#[automatically_derived]
#[allow(deprecated)]
impl facade::rpc::__private::Hash for ChatClient {
    fn hash<__RpcHasher: facade::rpc::__private::Hasher>(
        &self,
        __rpc_hasher: &mut __RpcHasher,
    ) {
        facade::rpc::__private::Hash::hash(
            facade::rpc::ServiceClient::stub(self),
            __rpc_hasher,
        );
    }
}
#[automatically_derived]
#[allow(deprecated)]
impl facade::rpc::Pipelined for ChatClient {
    type Pipe<
        __RpcError: facade::rpc::__private::Send + facade::rpc::__private::Sync + 'static,
    > = Self;
    fn pipe<
        __RpcError: facade::rpc::__private::Send + facade::rpc::__private::Sync + 'static,
    >(__rpc_at: facade::rpc::__private::PipeAt<__RpcError>) -> Self {
        <Self as facade::rpc::ServiceClient>::from_stub(
            facade::rpc::__private::Stub::promised(
                &__rpc_at,
                <Self as facade::rpc::ServiceClient>::descriptor(),
            ),
        )
    }
}
#[automatically_derived]
#[allow(deprecated)]
impl facade::rpc::IntoArg<ChatClient> for &ChatClient {
    fn put_into(self, __rpc_arguments: &mut facade::rpc::__private::Arguments<'_>) {
        <ChatClient as facade::rpc::IntoArg<
            ChatClient,
        >>::put_into(facade::rpc::__private::Clone::clone(self), __rpc_arguments);
    }
}
///Answers calls of [`Chat`](trait@Chat) with an implementation of it.
#[allow(deprecated)]
pub(crate) struct ChatServer<__RpcImplementation>(
    facade::rpc::__private::Arc<__RpcImplementation>,
);
#[allow(deprecated)]
impl<__RpcImplementation> ChatServer<__RpcImplementation> {
    ///Answers with this implementation of [`Chat`](trait@Chat).
    #[allow(dead_code)]
    pub(crate) fn new(__rpc_implementation: __RpcImplementation) -> Self
    where
        __RpcImplementation: facade::rpc::__private::ImplementationOf<ChatClient>,
    {
        Self(facade::rpc::__private::Arc::new(__rpc_implementation))
    }
}
#[allow(deprecated)]
impl<__RpcImplementation: Chat> ChatServer<__RpcImplementation> {
    /// Answers with this implementation, which its owner goes on using.
    #[allow(dead_code)]
    pub(crate) fn from_arc(
        __rpc_implementation: facade::rpc::__private::Arc<__RpcImplementation>,
    ) -> Self {
        Self(__rpc_implementation)
    }
    /// As an object of its own: a client that can be passed to the peer, which calls it back.
    #[allow(dead_code)]
    pub(crate) fn into_client(self) -> ChatClient {
        <ChatClient as facade::rpc::ServiceClient>::from_stub(
            facade::rpc::__private::Stub::of_service(
                facade::rpc::__private::Arc::new(self),
            ),
        )
    }
}
#[automatically_derived]
#[allow(deprecated)]
impl<__RpcImplementation: Chat> facade::rpc::__private::Calls<__RpcImplementation>
for ChatClient {
    fn local(__rpc_implementation: __RpcImplementation) -> Self {
        ChatServer(facade::rpc::__private::Arc::new(__rpc_implementation)).into_client()
    }
}
#[automatically_derived]
#[allow(deprecated)]
impl<__RpcImplementation> facade::rpc::__private::Clone
for ChatServer<__RpcImplementation> {
    fn clone(&self) -> Self {
        Self(facade::rpc::__private::Arc::clone(&self.0))
    }
}
#[automatically_derived]
#[allow(deprecated, unused_variables)]
impl<__RpcImplementation: Chat> facade::rpc::Service
for ChatServer<__RpcImplementation> {
    fn descriptor(&self) -> &'static facade::rpc::schema::ServiceDescriptor {
        <ChatClient as facade::rpc::ServiceClient>::descriptor()
    }
    fn dispatch(
        &self,
        __rpc_method: facade::rpc::__private::u32,
        __rpc_incoming: facade::rpc::__private::Incoming,
    ) -> facade::rpc::__private::Reply {
        let __rpc_implementation = facade::rpc::__private::Arc::clone(&self.0);
        match __rpc_method {
            0u32 => {
                facade::rpc::__private::Incoming::run_with_context::<
                    _,
                    (),
                    facade::rpc::Never,
                    _,
                >(
                    __rpc_incoming,
                    |__rpc_reader: &mut facade::rpc::__private::ArgumentReader<'_>| {
                        facade::rpc::__private::Result::Ok((
                            facade::rpc::__private::ArgumentReader::take::<
                                String,
                            >(__rpc_reader)?,
                        ))
                    },
                    move |(__rpc_value_0,), __rpc_context| async move {
                        facade::rpc::__private::Result::Ok(
                            <__RpcImplementation as Chat>::log(
                                    &*__rpc_implementation,
                                    __rpc_value_0,
                                    &__rpc_context,
                                )
                                .await,
                        )
                    },
                )
            }
            1u32 => {
                facade::rpc::__private::Incoming::run::<
                    _,
                    (),
                    facade::rpc::Never,
                    _,
                >(
                    __rpc_incoming,
                    |__rpc_reader: &mut facade::rpc::__private::ArgumentReader<'_>| {
                        facade::rpc::__private::Result::Ok(())
                    },
                    move |()| async move {
                        facade::rpc::__private::Result::Ok(
                            <__RpcImplementation as Chat>::deadline(
                                    &*__rpc_implementation,
                                )
                                .await,
                        )
                    },
                )
            }
            2u32 => {
                facade::rpc::__private::Incoming::run::<
                    _,
                    (),
                    Vec<u8>,
                    _,
                >(
                    __rpc_incoming,
                    |__rpc_reader: &mut facade::rpc::__private::ArgumentReader<'_>| {
                        facade::rpc::__private::Result::Ok((
                            facade::rpc::__private::ArgumentReader::take::<
                                u8,
                            >(__rpc_reader)?,
                        ))
                    },
                    move |(__rpc_value_0,)| async move {
                        <__RpcImplementation as Chat>::r#match(
                                &*__rpc_implementation,
                                __rpc_value_0,
                            )
                            .await
                    },
                )
            }
            _ => facade::rpc::__private::Incoming::unknown_method(__rpc_incoming),
        }
    }
}
