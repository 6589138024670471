/**The parts of a promised [`User`].

Not among them, because they travel with an encoding of their own: `since`.*/
#[allow(dead_code, non_camel_case_types)]
pub struct UserPipe<__Error> {
    at: ::rpc_core::__private::PipeAt<__Error>,
    values: ::rpc_core::__private::PhantomData<fn() -> ()>,
}
#[allow(dead_code, deprecated)]
impl<__Error> UserPipe<__Error>
where
    __Error: ::rpc_core::__private::Send + ::rpc_core::__private::Sync + 'static,
{
    #[allow(missing_docs)]
    pub fn id(&self) -> ::rpc_core::Promise<u64, __Error> {
        ::rpc_core::__private::PipeAt::field(&self.at, 0u32)
    }
    /// Their name.
    pub(crate) fn r#type(&self) -> ::rpc_core::Promise<String, __Error> {
        ::rpc_core::__private::PipeAt::field(&self.at, 1u32)
    }
    #[allow(missing_docs)]
    fn friends(&self) -> ::rpc_core::Promise<Vec<User>, __Error> {
        ::rpc_core::__private::PipeAt::field(&self.at, 3u32)
    }
}
#[automatically_derived]
impl<__Error> ::rpc_core::__private::Clone for UserPipe<__Error> {
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
        __Error: ::rpc_core::__private::Send + ::rpc_core::__private::Sync + 'static,
    > = UserPipe<__Error>;
    fn pipe<
        __Error: ::rpc_core::__private::Send + ::rpc_core::__private::Sync + 'static,
    >(at: ::rpc_core::__private::PipeAt<__Error>) -> Self::Pipe<__Error> {
        UserPipe {
            at: at,
            values: ::rpc_core::__private::PhantomData,
        }
    }
}
///The parts of a promised [`Pair`].
#[allow(dead_code, non_camel_case_types)]
struct PairPipe<__Error> {
    at: facade::rpc::__private::PipeAt<__Error>,
    values: facade::rpc::__private::PhantomData<fn() -> ()>,
}
#[allow(dead_code, deprecated)]
impl<__Error> PairPipe<__Error>
where
    __Error: facade::rpc::__private::Send + facade::rpc::__private::Sync + 'static,
{
    #[allow(missing_docs)]
    pub fn _0(&self) -> facade::rpc::Promise<u8, __Error> {
        facade::rpc::__private::PipeAt::field(&self.at, 0u32)
    }
    #[allow(missing_docs)]
    fn _2(&self) -> facade::rpc::Promise<u32, __Error> {
        facade::rpc::__private::PipeAt::field(&self.at, 1u32)
    }
}
#[automatically_derived]
impl<__Error> facade::rpc::__private::Clone for PairPipe<__Error> {
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
        __Error: facade::rpc::__private::Send + facade::rpc::__private::Sync + 'static,
    > = PairPipe<__Error>;
    fn pipe<
        __Error: facade::rpc::__private::Send + facade::rpc::__private::Sync + 'static,
    >(at: facade::rpc::__private::PipeAt<__Error>) -> Self::Pipe<__Error> {
        PairPipe {
            at: at,
            values: facade::rpc::__private::PhantomData,
        }
    }
}
///The parts of a promised [`Meters`].
#[allow(dead_code, non_camel_case_types)]
pub struct MetersPipe<__Error> {
    at: ::rpc_core::__private::PipeAt<__Error>,
    values: ::rpc_core::__private::PhantomData<fn() -> ()>,
}
#[allow(dead_code, deprecated)]
impl<__Error> MetersPipe<__Error>
where
    __Error: ::rpc_core::__private::Send + ::rpc_core::__private::Sync + 'static,
{
    #[allow(missing_docs)]
    pub fn value(&self) -> ::rpc_core::Promise<f64, __Error> {
        ::rpc_core::__private::PipeAt::same(&self.at)
    }
}
#[automatically_derived]
impl<__Error> ::rpc_core::__private::Clone for MetersPipe<__Error> {
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
        __Error: ::rpc_core::__private::Send + ::rpc_core::__private::Sync + 'static,
    > = MetersPipe<__Error>;
    fn pipe<
        __Error: ::rpc_core::__private::Send + ::rpc_core::__private::Sync + 'static,
    >(at: ::rpc_core::__private::PipeAt<__Error>) -> Self::Pipe<__Error> {
        MetersPipe {
            at: at,
            values: ::rpc_core::__private::PhantomData,
        }
    }
}
///The parts of a promised [`Page`].
#[allow(dead_code, non_camel_case_types)]
pub struct PagePipe<T: Display, const N: usize, __Error>
where
    T: Clone,
{
    at: ::rpc_core::__private::PipeAt<__Error>,
    values: ::rpc_core::__private::PhantomData<
        fn() -> (::rpc_core::__private::PhantomData<T>,),
    >,
}
#[allow(dead_code, deprecated)]
impl<T: Display, const N: usize, __Error> PagePipe<T, N, __Error>
where
    T: Clone,
    T: 'static,
    __Error: ::rpc_core::__private::Send + ::rpc_core::__private::Sync + 'static,
{
    #[allow(missing_docs)]
    pub fn items(&self) -> ::rpc_core::Promise<[T; N], __Error> {
        ::rpc_core::__private::PipeAt::field(&self.at, 0u32)
    }
}
#[automatically_derived]
impl<T: Display, const N: usize, __Error> ::rpc_core::__private::Clone
for PagePipe<T, N, __Error>
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
        __Error: ::rpc_core::__private::Send + ::rpc_core::__private::Sync + 'static,
    > = PagePipe<T, N, __Error>;
    fn pipe<
        __Error: ::rpc_core::__private::Send + ::rpc_core::__private::Sync + 'static,
    >(at: ::rpc_core::__private::PipeAt<__Error>) -> Self::Pipe<__Error> {
        PagePipe {
            at: at,
            values: ::rpc_core::__private::PhantomData,
        }
    }
}
///The parts of a promised [`Unit`].
#[allow(dead_code, non_camel_case_types)]
pub struct UnitPipe<__Error> {
    at: ::rpc_core::__private::PipeAt<__Error>,
    values: ::rpc_core::__private::PhantomData<fn() -> ()>,
}
#[allow(dead_code, deprecated)]
impl<__Error> UnitPipe<__Error>
where
    __Error: ::rpc_core::__private::Send + ::rpc_core::__private::Sync + 'static,
{}
#[automatically_derived]
impl<__Error> ::rpc_core::__private::Clone for UnitPipe<__Error> {
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
        __Error: ::rpc_core::__private::Send + ::rpc_core::__private::Sync + 'static,
    > = UnitPipe<__Error>;
    fn pipe<
        __Error: ::rpc_core::__private::Send + ::rpc_core::__private::Sync + 'static,
    >(at: ::rpc_core::__private::PipeAt<__Error>) -> Self::Pipe<__Error> {
        UnitPipe {
            at: at,
            values: ::rpc_core::__private::PhantomData,
        }
    }
}
