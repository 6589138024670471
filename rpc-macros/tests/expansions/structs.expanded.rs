/**The parts of a promised [`User`](type@User).

Not among them, because they travel with an encoding of their own: `since`.*/
#[doc(hidden)]
#[allow(dead_code, non_camel_case_types)]
pub struct UserPipe<__RpcError> {
    at: ::rpc_core::__private::PipeAt<__RpcError>,
    values: ::rpc_core::__private::PhantomData<fn() -> ()>,
}
#[allow(dead_code, deprecated)]
impl<__RpcError> UserPipe<__RpcError>
where
    __RpcError: ::rpc_core::__private::Send + ::rpc_core::__private::Sync + 'static,
{
    #[allow(missing_docs)]
    pub fn id(&self) -> ::rpc_core::Promise<u64, __RpcError> {
        ::rpc_core::__private::PipeAt::field(&self.at, 0u32)
    }
    /// Their name.
    pub(crate) fn r#type(&self) -> ::rpc_core::Promise<String, __RpcError> {
        ::rpc_core::__private::PipeAt::field(&self.at, 1u32)
    }
    #[allow(missing_docs)]
    fn friends(&self) -> ::rpc_core::Promise<Vec<User>, __RpcError> {
        ::rpc_core::__private::PipeAt::field(&self.at, 3u32)
    }
    #[doc(hidden)]
    pub fn map<__RpcMapped>(
        &self,
        _: impl ::rpc_core::__private::FnOnce(
            ::rpc_core::Promise<User, __RpcError>,
        ) -> __RpcMapped,
    ) -> ::rpc_core::Promise<User, __RpcError>
    where
        User: ::rpc_core::__private::HasElements<__RpcMapped>,
    {
        loop {}
    }
}
#[automatically_derived]
impl<__RpcError> ::rpc_core::__private::Clone for UserPipe<__RpcError> {
    fn clone(&self) -> Self {
        Self {
            at: ::rpc_core::__private::Clone::clone(&self.at),
            values: ::rpc_core::__private::PhantomData,
        }
    }
}
#[automatically_derived]
#[allow(deprecated)]
impl ::rpc_core::Pipelined for User {
    type Pipe<
        __RpcError: ::rpc_core::__private::Send + ::rpc_core::__private::Sync + 'static,
    > = UserPipe<__RpcError>;
    fn pipe<
        __RpcError: ::rpc_core::__private::Send + ::rpc_core::__private::Sync + 'static,
    >(__rpc_at: ::rpc_core::__private::PipeAt<__RpcError>) -> Self::Pipe<__RpcError> {
        UserPipe {
            at: __rpc_at,
            values: ::rpc_core::__private::PhantomData,
        }
    }
}
#[automatically_derived]
#[allow(deprecated)]
impl ::rpc_core::__private::Declared for User {
    fn declare(__rpc_found: &mut ::rpc_core::__private::Declarations) {
        if ::rpc_core::__private::Declarations::add::<
            Self,
        >(
            __rpc_found,
            ::rpc_core::__private::Declaration {
                name: "User",
                docs: &["", "", "Their name."],
                remarks: &[(3usize, ::rpc_core::__private::Remark::Opaque)],
                parts: ::rpc_core::__private::DeclaredParts::Fields(
                    &[
                        ::rpc_core::__private::DeclaredField {
                            name: "id",
                            aliases: &[],
                            has_default: false,
                        },
                        ::rpc_core::__private::DeclaredField {
                            name: "type",
                            aliases: &[],
                            has_default: false,
                        },
                        ::rpc_core::__private::DeclaredField {
                            name: "since",
                            aliases: &[],
                            has_default: false,
                        },
                        ::rpc_core::__private::DeclaredField {
                            name: "friends",
                            aliases: &[],
                            has_default: false,
                        },
                    ],
                ),
            },
        ) {
            use ::rpc_core::__private::{
                ByDeclaration as _, ByLayout as _, ByNoLayout as _, ByNothing as _,
            };
            (&::rpc_core::__private::Witness::<User>::new()).__rpc_declare(__rpc_found);
            ::rpc_core::__private::Declarations::element(
                __rpc_found,
                (&::rpc_core::__private::Witness::<User>::new()).__rpc_element(),
            );
        }
    }
}
///The parts of a promised [`Pair`](type@Pair).
#[doc(hidden)]
#[allow(dead_code, non_camel_case_types)]
struct PairPipe<__RpcError> {
    at: facade::rpc::__private::PipeAt<__RpcError>,
    values: facade::rpc::__private::PhantomData<fn() -> ()>,
}
#[allow(dead_code, deprecated)]
impl<__RpcError> PairPipe<__RpcError>
where
    __RpcError: facade::rpc::__private::Send + facade::rpc::__private::Sync + 'static,
{
    #[allow(missing_docs)]
    pub fn _0(&self) -> facade::rpc::Promise<u8, __RpcError> {
        facade::rpc::__private::PipeAt::field(&self.at, 0u32)
    }
    #[allow(missing_docs)]
    fn _2(&self) -> facade::rpc::Promise<u32, __RpcError> {
        facade::rpc::__private::PipeAt::field(&self.at, 1u32)
    }
    #[doc(hidden)]
    fn map<__RpcMapped>(
        &self,
        _: impl facade::rpc::__private::FnOnce(
            facade::rpc::Promise<Pair, __RpcError>,
        ) -> __RpcMapped,
    ) -> facade::rpc::Promise<Pair, __RpcError>
    where
        Pair: facade::rpc::__private::HasElements<__RpcMapped>,
    {
        loop {}
    }
}
#[automatically_derived]
impl<__RpcError> facade::rpc::__private::Clone for PairPipe<__RpcError> {
    fn clone(&self) -> Self {
        Self {
            at: facade::rpc::__private::Clone::clone(&self.at),
            values: facade::rpc::__private::PhantomData,
        }
    }
}
#[automatically_derived]
#[allow(deprecated)]
impl facade::rpc::Pipelined for Pair {
    type Pipe<
        __RpcError: facade::rpc::__private::Send + facade::rpc::__private::Sync + 'static,
    > = PairPipe<__RpcError>;
    fn pipe<
        __RpcError: facade::rpc::__private::Send + facade::rpc::__private::Sync + 'static,
    >(__rpc_at: facade::rpc::__private::PipeAt<__RpcError>) -> Self::Pipe<__RpcError> {
        PairPipe {
            at: __rpc_at,
            values: facade::rpc::__private::PhantomData,
        }
    }
}
#[automatically_derived]
#[allow(deprecated)]
impl facade::rpc::__private::Declared for Pair {
    fn declare(__rpc_found: &mut facade::rpc::__private::Declarations) {
        if facade::rpc::__private::Declarations::add::<
            Self,
        >(
            __rpc_found,
            facade::rpc::__private::Declaration {
                name: "Pair",
                docs: &[],
                remarks: &[(2usize, facade::rpc::__private::Remark::RustName("2"))],
                parts: facade::rpc::__private::DeclaredParts::Fields(
                    &[
                        facade::rpc::__private::DeclaredField {
                            name: "",
                            aliases: &[],
                            has_default: false,
                        },
                        facade::rpc::__private::DeclaredField {
                            name: "",
                            aliases: &[],
                            has_default: false,
                        },
                    ],
                ),
            },
        ) {}
    }
}
///The parts of a promised [`Meters`](type@Meters).
#[doc(hidden)]
#[allow(dead_code, non_camel_case_types)]
pub struct MetersPipe<__RpcError> {
    at: ::rpc_core::__private::PipeAt<__RpcError>,
    values: ::rpc_core::__private::PhantomData<fn() -> ()>,
}
#[allow(dead_code, deprecated)]
impl<__RpcError> MetersPipe<__RpcError>
where
    __RpcError: ::rpc_core::__private::Send + ::rpc_core::__private::Sync + 'static,
{
    #[allow(missing_docs)]
    pub fn value(&self) -> ::rpc_core::Promise<f64, __RpcError> {
        ::rpc_core::__private::PipeAt::same(&self.at)
    }
    #[doc(hidden)]
    pub fn map<__RpcMapped>(
        &self,
        _: impl ::rpc_core::__private::FnOnce(
            ::rpc_core::Promise<Meters, __RpcError>,
        ) -> __RpcMapped,
    ) -> ::rpc_core::Promise<Meters, __RpcError>
    where
        Meters: ::rpc_core::__private::HasElements<__RpcMapped>,
    {
        loop {}
    }
}
#[automatically_derived]
impl<__RpcError> ::rpc_core::__private::Clone for MetersPipe<__RpcError> {
    fn clone(&self) -> Self {
        Self {
            at: ::rpc_core::__private::Clone::clone(&self.at),
            values: ::rpc_core::__private::PhantomData,
        }
    }
}
#[automatically_derived]
#[allow(deprecated)]
impl ::rpc_core::Pipelined for Meters {
    type Pipe<
        __RpcError: ::rpc_core::__private::Send + ::rpc_core::__private::Sync + 'static,
    > = MetersPipe<__RpcError>;
    fn pipe<
        __RpcError: ::rpc_core::__private::Send + ::rpc_core::__private::Sync + 'static,
    >(__rpc_at: ::rpc_core::__private::PipeAt<__RpcError>) -> Self::Pipe<__RpcError> {
        MetersPipe {
            at: __rpc_at,
            values: ::rpc_core::__private::PhantomData,
        }
    }
}
#[automatically_derived]
#[allow(deprecated)]
impl ::rpc_core::__private::Declared for Meters {
    fn declare(__rpc_found: &mut ::rpc_core::__private::Declarations) {
        if ::rpc_core::__private::Declarations::add::<
            Self,
        >(
            __rpc_found,
            ::rpc_core::__private::Declaration {
                name: "Meters",
                docs: &[],
                remarks: &[],
                parts: ::rpc_core::__private::DeclaredParts::Another,
            },
        ) {}
    }
}
///The parts of a promised [`Page`](type@Page).
#[doc(hidden)]
#[allow(dead_code, non_camel_case_types)]
pub struct PagePipe<T: Display, const N: usize, __RpcError>
where
    T: Clone,
{
    at: ::rpc_core::__private::PipeAt<__RpcError>,
    values: ::rpc_core::__private::PhantomData<
        fn() -> (::rpc_core::__private::PhantomData<T>,),
    >,
}
#[allow(dead_code, deprecated)]
impl<T: Display, const N: usize, __RpcError> PagePipe<T, N, __RpcError>
where
    T: Clone,
    T: 'static,
    __RpcError: ::rpc_core::__private::Send + ::rpc_core::__private::Sync + 'static,
{
    #[allow(missing_docs)]
    pub fn items(&self) -> ::rpc_core::Promise<[T; N], __RpcError> {
        ::rpc_core::__private::PipeAt::field(&self.at, 0u32)
    }
    #[doc(hidden)]
    pub fn map<__RpcMapped>(
        &self,
        _: impl ::rpc_core::__private::FnOnce(
            ::rpc_core::Promise<Page<T, N>, __RpcError>,
        ) -> __RpcMapped,
    ) -> ::rpc_core::Promise<Page<T, N>, __RpcError>
    where
        Page<T, N>: ::rpc_core::__private::HasElements<__RpcMapped>,
    {
        loop {}
    }
}
#[automatically_derived]
impl<T: Display, const N: usize, __RpcError> ::rpc_core::__private::Clone
for PagePipe<T, N, __RpcError>
where
    T: Clone,
{
    fn clone(&self) -> Self {
        Self {
            at: ::rpc_core::__private::Clone::clone(&self.at),
            values: ::rpc_core::__private::PhantomData,
        }
    }
}
#[automatically_derived]
#[allow(deprecated)]
impl<T: Display, const N: usize> ::rpc_core::Pipelined for Page<T, N>
where
    T: Clone,
    T: 'static,
{
    type Pipe<
        __RpcError: ::rpc_core::__private::Send + ::rpc_core::__private::Sync + 'static,
    > = PagePipe<T, N, __RpcError>;
    fn pipe<
        __RpcError: ::rpc_core::__private::Send + ::rpc_core::__private::Sync + 'static,
    >(__rpc_at: ::rpc_core::__private::PipeAt<__RpcError>) -> Self::Pipe<__RpcError> {
        PagePipe {
            at: __rpc_at,
            values: ::rpc_core::__private::PhantomData,
        }
    }
}
#[automatically_derived]
#[allow(deprecated)]
impl<T: Display, const N: usize> ::rpc_core::__private::Declared for Page<T, N>
where
    T: Clone,
{
    fn declare(__rpc_found: &mut ::rpc_core::__private::Declarations) {
        if ::rpc_core::__private::Declarations::add::<
            Self,
        >(
            __rpc_found,
            ::rpc_core::__private::Declaration {
                name: "Page",
                docs: &[],
                remarks: &[],
                parts: ::rpc_core::__private::DeclaredParts::Fields(
                    &[
                        ::rpc_core::__private::DeclaredField {
                            name: "items",
                            aliases: &[],
                            has_default: false,
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
///The parts of a promised [`Unit`](type@Unit).
#[doc(hidden)]
#[allow(dead_code, non_camel_case_types)]
pub struct UnitPipe<__RpcError> {
    at: ::rpc_core::__private::PipeAt<__RpcError>,
    values: ::rpc_core::__private::PhantomData<fn() -> ()>,
}
#[allow(dead_code, deprecated)]
impl<__RpcError> UnitPipe<__RpcError>
where
    __RpcError: ::rpc_core::__private::Send + ::rpc_core::__private::Sync + 'static,
{
    #[doc(hidden)]
    pub fn map<__RpcMapped>(
        &self,
        _: impl ::rpc_core::__private::FnOnce(
            ::rpc_core::Promise<Unit, __RpcError>,
        ) -> __RpcMapped,
    ) -> ::rpc_core::Promise<Unit, __RpcError>
    where
        Unit: ::rpc_core::__private::HasElements<__RpcMapped>,
    {
        loop {}
    }
}
#[automatically_derived]
impl<__RpcError> ::rpc_core::__private::Clone for UnitPipe<__RpcError> {
    fn clone(&self) -> Self {
        Self {
            at: ::rpc_core::__private::Clone::clone(&self.at),
            values: ::rpc_core::__private::PhantomData,
        }
    }
}
#[automatically_derived]
#[allow(deprecated)]
impl ::rpc_core::Pipelined for Unit {
    type Pipe<
        __RpcError: ::rpc_core::__private::Send + ::rpc_core::__private::Sync + 'static,
    > = UnitPipe<__RpcError>;
    fn pipe<
        __RpcError: ::rpc_core::__private::Send + ::rpc_core::__private::Sync + 'static,
    >(__rpc_at: ::rpc_core::__private::PipeAt<__RpcError>) -> Self::Pipe<__RpcError> {
        UnitPipe {
            at: __rpc_at,
            values: ::rpc_core::__private::PhantomData,
        }
    }
}
#[automatically_derived]
#[allow(deprecated)]
impl ::rpc_core::__private::Declared for Unit {
    fn declare(__rpc_found: &mut ::rpc_core::__private::Declarations) {
        if ::rpc_core::__private::Declarations::add::<
            Self,
        >(
            __rpc_found,
            ::rpc_core::__private::Declaration {
                name: "Unit",
                docs: &[],
                remarks: &[],
                parts: ::rpc_core::__private::DeclaredParts::Fields(&[]),
            },
        ) {}
    }
}
