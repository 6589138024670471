///The parts of a promised [`Shape`](type@Shape).
#[doc(hidden)]
#[allow(dead_code, non_camel_case_types)]
pub struct ShapePipe<T, __RpcError> {
    at: ::rpc_core::__private::PipeAt<__RpcError>,
    values: ::rpc_core::__private::PhantomData<
        fn() -> (::rpc_core::__private::PhantomData<T>,),
    >,
}
#[allow(dead_code, deprecated)]
impl<T, __RpcError> ShapePipe<T, __RpcError>
where
    T: 'static,
    __RpcError: ::rpc_core::__private::Send + ::rpc_core::__private::Sync + 'static,
{
    /// A round one.
    pub fn circle(&self) -> ShapeCirclePipe<T, __RpcError> {
        ShapeCirclePipe {
            at: ::rpc_core::__private::PipeAt::variant(&self.at, 1u32),
            values: ::rpc_core::__private::PhantomData,
        }
    }
    #[allow(missing_docs)]
    pub fn http_box(&self) -> ShapeHTTPBoxPipe<T, __RpcError> {
        ShapeHTTPBoxPipe {
            at: ::rpc_core::__private::PipeAt::variant(&self.at, 2u32),
            values: ::rpc_core::__private::PhantomData,
        }
    }
    #[allow(missing_docs)]
    pub fn r#type(&self) -> ShapeTypePipe<T, __RpcError> {
        ShapeTypePipe {
            at: ::rpc_core::__private::PipeAt::variant(&self.at, 4u32),
            values: ::rpc_core::__private::PhantomData,
        }
    }
    #[doc(hidden)]
    pub fn map<__RpcMapped>(
        &self,
        _: impl ::rpc_core::__private::FnOnce(
            ::rpc_core::Promise<Shape<T>, __RpcError>,
        ) -> __RpcMapped,
    ) -> ::rpc_core::Promise<Shape<T>, __RpcError>
    where
        Shape<T>: ::rpc_core::__private::HasElements<__RpcMapped>,
    {
        loop {}
    }
}
#[automatically_derived]
impl<T, __RpcError> ::rpc_core::__private::Clone for ShapePipe<T, __RpcError> {
    fn clone(&self) -> Self {
        Self {
            at: ::rpc_core::__private::Clone::clone(&self.at),
            values: ::rpc_core::__private::PhantomData,
        }
    }
}
///The parts of a promised [`Shape::Circle`].
#[doc(hidden)]
#[allow(dead_code, non_camel_case_types)]
pub struct ShapeCirclePipe<T, __RpcError> {
    at: ::rpc_core::__private::PipeAt<__RpcError>,
    values: ::rpc_core::__private::PhantomData<
        fn() -> (::rpc_core::__private::PhantomData<T>,),
    >,
}
#[allow(dead_code, deprecated)]
impl<T, __RpcError> ShapeCirclePipe<T, __RpcError>
where
    T: 'static,
    __RpcError: ::rpc_core::__private::Send + ::rpc_core::__private::Sync + 'static,
{
    #[allow(missing_docs)]
    pub fn _0(&self) -> ::rpc_core::Promise<f64, __RpcError> {
        ::rpc_core::__private::PipeAt::field(&self.at, 0u32)
    }
}
#[automatically_derived]
impl<T, __RpcError> ::rpc_core::__private::Clone for ShapeCirclePipe<T, __RpcError> {
    fn clone(&self) -> Self {
        Self {
            at: ::rpc_core::__private::Clone::clone(&self.at),
            values: ::rpc_core::__private::PhantomData,
        }
    }
}
///The parts of a promised [`Shape::HTTPBox`].
#[doc(hidden)]
#[allow(dead_code, non_camel_case_types)]
pub struct ShapeHTTPBoxPipe<T, __RpcError> {
    at: ::rpc_core::__private::PipeAt<__RpcError>,
    values: ::rpc_core::__private::PhantomData<
        fn() -> (::rpc_core::__private::PhantomData<T>,),
    >,
}
#[allow(dead_code, deprecated)]
impl<T, __RpcError> ShapeHTTPBoxPipe<T, __RpcError>
where
    T: 'static,
    __RpcError: ::rpc_core::__private::Send + ::rpc_core::__private::Sync + 'static,
{
    /// How wide.
    pub fn width(&self) -> ::rpc_core::Promise<T, __RpcError> {
        ::rpc_core::__private::PipeAt::field(&self.at, 0u32)
    }
    #[allow(missing_docs)]
    pub fn height(&self) -> ::rpc_core::Promise<T, __RpcError> {
        ::rpc_core::__private::PipeAt::field(&self.at, 1u32)
    }
}
#[automatically_derived]
impl<T, __RpcError> ::rpc_core::__private::Clone for ShapeHTTPBoxPipe<T, __RpcError> {
    fn clone(&self) -> Self {
        Self {
            at: ::rpc_core::__private::Clone::clone(&self.at),
            values: ::rpc_core::__private::PhantomData,
        }
    }
}
///The parts of a promised [`Shape::Type`].
#[doc(hidden)]
#[allow(dead_code, non_camel_case_types)]
pub struct ShapeTypePipe<T, __RpcError> {
    at: ::rpc_core::__private::PipeAt<__RpcError>,
    values: ::rpc_core::__private::PhantomData<
        fn() -> (::rpc_core::__private::PhantomData<T>,),
    >,
}
#[allow(dead_code, deprecated)]
impl<T, __RpcError> ShapeTypePipe<T, __RpcError>
where
    T: 'static,
    __RpcError: ::rpc_core::__private::Send + ::rpc_core::__private::Sync + 'static,
{
    #[allow(missing_docs)]
    pub fn _0(&self) -> ::rpc_core::Promise<u8, __RpcError> {
        ::rpc_core::__private::PipeAt::field(&self.at, 0u32)
    }
}
#[automatically_derived]
impl<T, __RpcError> ::rpc_core::__private::Clone for ShapeTypePipe<T, __RpcError> {
    fn clone(&self) -> Self {
        Self {
            at: ::rpc_core::__private::Clone::clone(&self.at),
            values: ::rpc_core::__private::PhantomData,
        }
    }
}
#[automatically_derived]
#[allow(deprecated)]
impl<T> ::rpc_core::Pipelined for Shape<T>
where
    T: 'static,
{
    type Pipe<
        __RpcError: ::rpc_core::__private::Send + ::rpc_core::__private::Sync + 'static,
    > = ShapePipe<T, __RpcError>;
    fn pipe<
        __RpcError: ::rpc_core::__private::Send + ::rpc_core::__private::Sync + 'static,
    >(__rpc_at: ::rpc_core::__private::PipeAt<__RpcError>) -> Self::Pipe<__RpcError> {
        ShapePipe {
            at: __rpc_at,
            values: ::rpc_core::__private::PhantomData,
        }
    }
}
#[automatically_derived]
#[allow(deprecated)]
impl<T> ::rpc_core::__private::Declared for Shape<T> {
    fn declare(__rpc_found: &mut ::rpc_core::__private::Declarations) {
        if ::rpc_core::__private::Declarations::add::<
            Self,
        >(
            __rpc_found,
            ::rpc_core::__private::Declaration {
                name: "Shape",
                docs: &["", "", "A round one.", "", "", "How wide."],
                remarks: &[],
                parts: ::rpc_core::__private::DeclaredParts::Variants(
                    &[
                        ::rpc_core::__private::DeclaredVariant {
                            name: "Empty",
                            aliases: &[],
                            index: 0u32,
                            is_other: false,
                            fields: ::rpc_core::__private::Option::Some(&[]),
                        },
                        ::rpc_core::__private::DeclaredVariant {
                            name: "Circle",
                            aliases: &[],
                            index: 1u32,
                            is_other: false,
                            fields: ::rpc_core::__private::Option::Some(
                                &[
                                    ::rpc_core::__private::DeclaredField {
                                        name: "",
                                        aliases: &[],
                                        has_default: false,
                                    },
                                ],
                            ),
                        },
                        ::rpc_core::__private::DeclaredVariant {
                            name: "HTTPBox",
                            aliases: &[],
                            index: 2u32,
                            is_other: false,
                            fields: ::rpc_core::__private::Option::Some(
                                &[
                                    ::rpc_core::__private::DeclaredField {
                                        name: "width",
                                        aliases: &[],
                                        has_default: false,
                                    },
                                    ::rpc_core::__private::DeclaredField {
                                        name: "height",
                                        aliases: &[],
                                        has_default: false,
                                    },
                                ],
                            ),
                        },
                        ::rpc_core::__private::DeclaredVariant {
                            name: "Own",
                            aliases: &[],
                            index: 3u32,
                            is_other: false,
                            fields: ::rpc_core::__private::Option::None,
                        },
                        ::rpc_core::__private::DeclaredVariant {
                            name: "Type",
                            aliases: &[],
                            index: 4u32,
                            is_other: false,
                            fields: ::rpc_core::__private::Option::Some(
                                &[
                                    ::rpc_core::__private::DeclaredField {
                                        name: "",
                                        aliases: &[],
                                        has_default: false,
                                    },
                                ],
                            ),
                        },
                    ],
                ),
            },
        ) {
            use ::rpc_core::__private::{
                ByDeclaration as _, ByLayout as _, ByNoLayout as _, ByNothing as _,
            };
            (&::rpc_core::__private::Witness::<T>::new()).__rpc_declare(__rpc_found);
            ::rpc_core::__private::Declarations::element(
                __rpc_found,
                (&::rpc_core::__private::Witness::<T>::new()).__rpc_element(),
            );
        }
    }
}
