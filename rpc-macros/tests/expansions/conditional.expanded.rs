#[cfg(feature = "chat")]
trait Chat: ::rpc_core::__private::Send + ::rpc_core::__private::Sync + 'static {
    fn first(
        &self,
    ) -> impl ::rpc_core::__private::Future<Output = ()> + ::rpc_core::__private::Send;
    #[cfg(unix)]
    fn second(
        &self,
    ) -> impl ::rpc_core::__private::Future<Output = ()> + ::rpc_core::__private::Send;
    #[cfg_attr(feature = "old", cfg(windows), doc = "On Windows.", inline)]
    fn third(
        &self,
    ) -> impl ::rpc_core::__private::Future<Output = ()> + ::rpc_core::__private::Send;
    fn last(
        &self,
    ) -> impl ::rpc_core::__private::Future<Output = u8> + ::rpc_core::__private::Send;
}
#[cfg(feature = "chat")]
///A client of [`Chat`].
struct ChatClient {
    stub: ::rpc_core::__private::Stub,
}
#[cfg(feature = "chat")]
#[allow(deprecated, clippy::too_many_arguments)]
impl ChatClient {
    #[allow(missing_docs)]
    fn first(&self) -> ::rpc_core::Promise<(), ::rpc_core::Never> {
        let call = ::rpc_core::__private::Stub::begin(&self.stub, 0u32);
        ::rpc_core::__private::CallBuilder::send::<(), ::rpc_core::Never>(call)
    }
    #[cfg(unix)]
    #[allow(missing_docs)]
    fn second(&self) -> ::rpc_core::Promise<(), ::rpc_core::Never> {
        let call = ::rpc_core::__private::Stub::begin(&self.stub, 1u32);
        ::rpc_core::__private::CallBuilder::send::<(), ::rpc_core::Never>(call)
    }
    #[cfg_attr(feature = "old", cfg(windows), doc = "On Windows.")]
    #[allow(missing_docs)]
    fn third(&self) -> ::rpc_core::Promise<(), ::rpc_core::Never> {
        let call = ::rpc_core::__private::Stub::begin(
            &self.stub,
            {
                let number = 1u32;
                #[cfg(unix)]
                let number = number + 1u32;
                number
            },
        );
        ::rpc_core::__private::CallBuilder::send::<(), ::rpc_core::Never>(call)
    }
    #[allow(missing_docs)]
    fn last(&self) -> ::rpc_core::Promise<u8, ::rpc_core::Never> {
        let call = ::rpc_core::__private::Stub::begin(
            &self.stub,
            {
                let number = 1u32;
                #[cfg(unix)]
                let number = number + 1u32;
                #[cfg_attr(feature = "old", cfg(windows))]
                let number = number + 1u32;
                number
            },
        );
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
    /**A client of an implementation of [`Chat`] in this process: an object to pass to the peer, which calls it back. It is dropped when nobody holds a client of it any more.

Its methods can be called here too, inside a tokio runtime, as if through a session of its own.*/
    #[allow(dead_code)]
    fn local<__Implementation: Chat>(implementation: __Implementation) -> Self {
        ChatServer::new(implementation).into_client()
    }
}
#[cfg(feature = "chat")]
#[automatically_derived]
#[allow(deprecated)]
impl ::rpc_core::__private::Clone for ChatClient {
    fn clone(&self) -> Self {
        Self {
            stub: ::rpc_core::__private::Clone::clone(&self.stub),
        }
    }
}
#[cfg(feature = "chat")]
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
#[cfg(feature = "chat")]
#[automatically_derived]
#[allow(deprecated)]
impl ::rpc_core::ServiceClient for ChatClient {
    fn descriptor() -> &'static ::rpc_core::ServiceDescriptor {
        static __METHODS: [::rpc_core::MethodDescriptor; {
            let number = 2u32;
            #[cfg(unix)]
            let number = number + 1u32;
            #[cfg_attr(feature = "old", cfg(windows))]
            let number = number + 1u32;
            number
        } as ::rpc_core::__private::usize] = [
            ::rpc_core::MethodDescriptor {
                name: "first",
                docs: "",
                arguments: &[],
                result: ::rpc_core::ValueDescriptor::new::<()>("()"),
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
            #[cfg(unix)]
            ::rpc_core::MethodDescriptor {
                name: "second",
                docs: "",
                arguments: &[],
                result: ::rpc_core::ValueDescriptor::new::<()>("()"),
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
            #[cfg_attr(feature = "old", cfg(windows))]
            ::rpc_core::MethodDescriptor {
                name: "third",
                docs: "",
                arguments: &[],
                result: ::rpc_core::ValueDescriptor::new::<()>("()"),
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
            ::rpc_core::MethodDescriptor {
                name: "last",
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
            objects: ::rpc_core::__private::ObjectsCache::new(),
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
#[cfg(feature = "chat")]
#[automatically_derived]
#[allow(deprecated)]
impl ::rpc_core::__private::serde::Serialize for ChatClient {
    fn serialize<__S: ::rpc_core::__private::serde::Serializer>(
        &self,
        serializer: __S,
    ) -> ::rpc_core::__private::Result<__S::Ok, __S::Error> {
        ::rpc_core::__private::serialize_object(&self.stub, serializer)
    }
}
#[cfg(feature = "chat")]
#[automatically_derived]
#[allow(deprecated)]
impl<'de> ::rpc_core::__private::serde::Deserialize<'de> for ChatClient {
    fn deserialize<__D: ::rpc_core::__private::serde::Deserializer<'de>>(
        deserializer: __D,
    ) -> ::rpc_core::__private::Result<Self, __D::Error> {
        ::rpc_core::__private::Result::Ok(Self {
            stub: ::rpc_core::__private::deserialize_object(
                <Self as ::rpc_core::ServiceClient>::descriptor(),
                deserializer,
            )?,
        })
    }
}
#[cfg(feature = "chat")]
#[automatically_derived]
#[allow(deprecated)]
impl ::rpc_core::Pipelined for ChatClient {
    type Pipe<
        __E: ::rpc_core::__private::Send + ::rpc_core::__private::Sync + 'static,
    > = Self;
    fn pipe<__E: ::rpc_core::__private::Send + ::rpc_core::__private::Sync + 'static>(
        at: ::rpc_core::__private::PipeAt<__E>,
    ) -> Self {
        Self {
            stub: ::rpc_core::__private::Stub::promised(
                &at,
                <Self as ::rpc_core::ServiceClient>::descriptor(),
            ),
        }
    }
}
#[cfg(feature = "chat")]
#[automatically_derived]
#[allow(deprecated)]
impl ::rpc_core::IntoArg<ChatClient> for &ChatClient {
    fn put_into(self, arguments: &mut ::rpc_core::__private::Arguments<'_>) {
        <ChatClient as ::rpc_core::IntoArg<
            ChatClient,
        >>::put_into(::rpc_core::__private::Clone::clone(self), arguments);
    }
}
#[cfg(feature = "chat")]
///Answers calls of [`Chat`] with an implementation of it.
#[allow(deprecated)]
struct ChatServer<__Implementation>(::rpc_core::__private::Arc<__Implementation>);
#[cfg(feature = "chat")]
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
    /// As an object of its own: a client that can be passed to the peer, which calls it back.
    #[allow(dead_code)]
    fn into_client(self) -> ChatClient {
        ChatClient {
            stub: ::rpc_core::__private::Stub::of_service(
                ::rpc_core::__private::Arc::new(self),
            ),
        }
    }
}
#[cfg(feature = "chat")]
#[automatically_derived]
#[allow(deprecated)]
impl<__Implementation> ::rpc_core::__private::Clone for ChatServer<__Implementation> {
    fn clone(&self) -> Self {
        Self(::rpc_core::__private::Arc::clone(&self.0))
    }
}
#[cfg(feature = "chat")]
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
                    (),
                    ::rpc_core::Never,
                    _,
                >(
                    incoming,
                    |reader: &mut ::rpc_core::__private::ArgumentReader<'_>| {
                        ::rpc_core::__private::Result::Ok(())
                    },
                    move |()| async move {
                        ::rpc_core::__private::Result::Ok(
                            <__Implementation as Chat>::first(&*implementation).await,
                        )
                    },
                )
            }
            #[cfg(unix)]
            1u32 => {
                ::rpc_core::__private::Incoming::run::<
                    _,
                    (),
                    ::rpc_core::Never,
                    _,
                >(
                    incoming,
                    |reader: &mut ::rpc_core::__private::ArgumentReader<'_>| {
                        ::rpc_core::__private::Result::Ok(())
                    },
                    move |()| async move {
                        ::rpc_core::__private::Result::Ok(
                            <__Implementation as Chat>::second(&*implementation).await,
                        )
                    },
                )
            }
            #[cfg_attr(feature = "old", cfg(windows))]
            candidate if candidate
                == {
                    let number = 1u32;
                    #[cfg(unix)]
                    let number = number + 1u32;
                    number
                } => {
                ::rpc_core::__private::Incoming::run::<
                    _,
                    (),
                    ::rpc_core::Never,
                    _,
                >(
                    incoming,
                    |reader: &mut ::rpc_core::__private::ArgumentReader<'_>| {
                        ::rpc_core::__private::Result::Ok(())
                    },
                    move |()| async move {
                        ::rpc_core::__private::Result::Ok(
                            <__Implementation as Chat>::third(&*implementation).await,
                        )
                    },
                )
            }
            candidate if candidate
                == {
                    let number = 1u32;
                    #[cfg(unix)]
                    let number = number + 1u32;
                    #[cfg_attr(feature = "old", cfg(windows))]
                    let number = number + 1u32;
                    number
                } => {
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
                            <__Implementation as Chat>::last(&*implementation).await,
                        )
                    },
                )
            }
            _ => ::rpc_core::__private::Incoming::unknown_method(incoming),
        }
    }
}
